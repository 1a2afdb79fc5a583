import * as nodeFs from "node:fs/promises";
import type { Logger } from "pino";
import type { Event } from "../../gen/haplane/v1/events_pb.js";
import { defaultServerWords } from "../config/defaults.ts";
import { formatName } from "../config/name.ts";
import { removeBackend } from "../config/remove-backend.ts";
import {
  backendSection,
  type ConfiguredServer,
  findServer,
  numberAfter,
  serversByName,
  serversOf,
} from "../config/server.ts";
import { addBackend } from "../config/server-edits.ts";
import type { ChangeResult, NewBackend, ServerChange, Target, TargetServer } from "../discovery/target.ts";
import type { Haproxy } from "../haproxy/haproxy.ts";
import type { ProcessState } from "../haproxy/process-state.ts";
import type { ServerState } from "../haproxy/server-states.ts";
import type { Clock } from "../lib/clock.ts";
import type { FileSystem } from "../lib/durable-file.ts";
import { DomainError } from "../lib/errors.ts";
import type { Store } from "../store/store.ts";
import { Document } from "../text/document.ts";
import type { ChangeOutcome, ChangeRequest } from "./change.ts";
import { ChangeLane } from "./change-lane.ts";
import { mergeTouched, type TouchedServers, touchedServers } from "./classify.ts";
import { ConfigFiles } from "./config-files.ts";
import type { Edit } from "./edit.ts";
import { FileWriter } from "./file-writer.ts";
import { externalEdit, ForeignEdits } from "./foreign-edits.ts";
import { type FindServer, givenBack } from "./given-back.ts";
import { History } from "./history.ts";
import { clearLeftovers } from "./leftovers.ts";
import { type CommitPolicy, DEFAULT_POLICY } from "./policy.ts";
import { formerContent, recover } from "./recovery.ts";
import {
  type FollowUp,
  type PlannedReload,
  type ReloadDone,
  type Reloaded,
  ReloadLane,
  type ReloadStage,
} from "./reload-lane.ts";
import { requireReplaceable } from "./replaceable.ts";
import { asDomainError, RuntimeLane } from "./runtime-lane.ts";
import {
  createStateFile,
  EMPTY_STATE_FILE,
  stateFileContent,
  stateFileOf,
  writeStateFile,
} from "./state-file.ts";
import { WorkingDocument } from "./working-document.ts";

/** What the commit is built from. */
export interface CommitOptions {
  /** The files that HAProxy reads, in its order. */
  readonly paths: readonly string[];
  readonly haproxy: Haproxy;
  readonly store: Store;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Hands events to the streams that are open, before it returns. */
  readonly publishEphemeral: (events: readonly Event[]) => void;
  /** What is not given holds as in `DEFAULT_POLICY`. */
  readonly policy?: Partial<CommitPolicy>;
  /** Default: Node's. Tests pass their own, to stop between two operations. */
  readonly fs?: FileSystem;
}

/** What there is to see of the commit, for status and metrics. */
export interface CommitStatus {
  readonly stage: ReloadStage;
  /** Why live changes are not in the file, and since when. */
  readonly lagging: { readonly since: number; readonly reason: string } | undefined;
  /** Why somebody's edit of the file is not adopted. */
  readonly held: DomainError | undefined;
}

/** The one way by which the configuration changes; see docs/decisions/0001-commit.md. Everything is wired here, the lanes do the work. */
export class Commit implements Target {
  readonly #haproxy: Haproxy;
  readonly #logger: Logger;
  readonly #fs: FileSystem;
  readonly #policy: CommitPolicy;
  readonly #options: CommitOptions;
  readonly #working: WorkingDocument;
  readonly #files: ConfigFiles;
  readonly #history: History;
  readonly #writer: FileWriter;
  readonly #reloads: ReloadLane;
  readonly #runtime: RuntimeLane;
  readonly #changes: ChangeLane;
  readonly #foreign: ForeignEdits;
  readonly #listeners = new Set<() => void>();
  #unsubscribe: (() => void) | undefined;

  private constructor(options: CommitOptions, files: ConfigFiles, document: Document, history: History) {
    const { haproxy, store, clock, logger, publishEphemeral, fs = nodeFs } = options;
    this.#options = options;
    this.#haproxy = haproxy;
    this.#logger = logger;
    const policy = { ...DEFAULT_POLICY, ...options.policy };
    this.#policy = policy;
    this.#fs = fs;
    this.#files = files;
    this.#history = history;
    const working = new WorkingDocument(document);
    const onForeign = async () => void (await this.#foreign.takeOver());
    const writer = new FileWriter({
      working,
      files,
      history,
      store,
      clock,
      logger,
      onForeign: () => void onForeign(),
    });
    const reloads = new ReloadLane({
      ...{ haproxy, fs, store, working, files, writer, history, clock, logger, policy, onForeign },
      beforeReload: (reload) => this.#beforeReload(reload),
      afterReload: (reloaded) => this.#afterReload(reloaded),
    });
    this.#working = working;
    this.#writer = writer;
    this.#reloads = reloads;
    this.#runtime = new RuntimeLane({ haproxy, working, writer, reloads, clock, logger, publishEphemeral });
    this.#changes = new ChangeLane({
      ...{
        haproxy,
        fs,
        store,
        working,
        files,
        writer,
        history,
        runtime: this.#runtime,
        reloads,
        clock,
        logger,
        publishEphemeral,
      },
      lookAtForeign: () => this.#foreign.look(),
      held: () => this.#foreign.held,
    });
    this.#foreign = new ForeignEdits({
      ...{ haproxy, fs, store, working, files, writer, reloads, history, clock, logger, policy },
      onAdopted: () => this.#notify(),
    });
  }

  /** Reads the newest revision, or the files when there is none yet. Throws `NOT_SUPPORTED` when a file is missing or cannot be replaced. The configuration is left alone, and HAProxy need not run yet. */
  static async open(options: CommitOptions): Promise<Commit> {
    const fs = options.fs ?? nodeFs;
    const files = new ConfigFiles(options.paths, fs);
    const readOnly = options.policy?.readOnly ?? DEFAULT_POLICY.readOnly;
    const history = new History(options.store, options.clock);
    const recorded = await history.load();
    const { parts, document } = await files.peek();
    if (!readOnly) for (const { path } of parts) await requireReplaceable(fs, path);
    if (!readOnly) {
      await createStateFile(fs, document).catch((error: unknown) => {
        options.logger.warn({ err: error }, "the server state file cannot be made");
      });
    }
    files.believe(
      recorded === undefined
        ? parts
        : parts.map(({ path }) => ({ path, bytes: recorded.get(path) ?? Buffer.alloc(0) })),
    );
    return new Commit(options, files, Document.parse(files.believed), history);
  }

  /**
   * Ends what a crash left open, adopts what changed while haplane was not there, and begins to watch the files. HAProxy has been started.
   */
  async start(): Promise<void> {
    const [files, history] = [this.#files, this.#history];
    this.#unsubscribe = this.#haproxy.subscribe((state, previous) => this.#processChanged(state, previous));
    if (this.#policy.readOnly) this.#observeOnly();
    else await this.#endWhatWasLeftOpen();
    const document = Document.parse(files.believed);
    this.#working.rebase(document, this.#writer.written);
    this.#working.startedFrom(document, this.#working.position);
    if (history.newest === 0)
      await history.append({ parts: files.believed, lane: "external", edits: [externalEdit(document)] });
    this.#foreign.start();
    await this.#foreign.look();
    if (!this.#policy.readOnly) this.#compareWorker();
  }

  async #endWhatWasLeftOpen(): Promise<void> {
    const { store } = this.#options;
    const [files, history] = [this.#files, this.#history];
    const intents = await store.pendingIntents();
    const isKnown = async (path: string, content: Buffer) => {
      if (history.isRecorded(path, content)) return true;
      const former = await Promise.all(intents.map((intent) => formerContent(store, intent, path)));
      return former.some((bytes) => bytes.equals(content));
    };
    await clearLeftovers(this.#fs, files.paths, isKnown, this.#logger);
    await recover({ haproxy: this.#haproxy, fs: this.#fs, store, files, history, logger: this.#logger });
  }

  /** Nothing of ours is written or reloaded. */
  #observeOnly(): void {
    this.#writer.observe();
    this.#reloads.hold(readOnly());
  }

  /** Brings the file after what is live, and stops. */
  async stop(): Promise<void> {
    this.#foreign.stop();
    this.#unsubscribe?.();
    this.#runtime.stop();
    await this.#reloads.stop();
    await this.#writer.flush();
  }

  /** Lets go of what would keep the process awake, without finishing anything: for a process that cannot go on. */
  abandon(): void {
    this.#foreign.stop();
    this.#writer.rest();
    this.#unsubscribe?.();
  }

  /** What the file is to hold and HAProxy is to run. */
  get document(): Document {
    return this.#working.current;
  }

  /** What there is to see. */
  get status(): CommitStatus {
    return { stage: this.#reloads.stage, lagging: this.#writer.failure, held: this.#foreign.held };
  }

  /** Number of the newest revision. */
  get revision(): number {
    return this.#history.newest;
  }

  /**
   * Changes the configuration; resolves when HAProxy runs it. Everything is as before when it rejects: with what the edit throws, `ETAG_MISMATCH`, `CONFIGURATION_REFUSED`, `FILE_HELD`,
   * `HAPROXY_UNAVAILABLE`, `TIMED_OUT`, `STORE_UNAVAILABLE`, `SHUTTING_DOWN`.
   */
  async change(request: ChangeRequest): Promise<ChangeOutcome> {
    if (this.#policy.readOnly && request.validateOnly !== true) throw readOnly();
    const outcome = await this.#changes.change(request);
    if (request.validateOnly !== true) this.#notify();
    return outcome;
  }

  /** Reloads HAProxy, after an edit of the file by hand that waited has been taken over. Rejects as `change` does. */
  async reload(): Promise<ReloadDone> {
    if (this.#policy.readOnly) throw readOnly();
    await this.#foreign.look(true);
    return this.#reloads.submit(undefined, "it was asked for");
  }

  /** Whether the configuration has this server. */
  isConfigured(backend: string, server: string): boolean {
    const section = backendSection(this.document, backend);
    return section !== undefined && findServer(section, server) !== undefined;
  }

  servers(backend: string): readonly TargetServer[] | undefined {
    const document = this.document;
    const section = backendSection(document, backend);
    if (section === undefined) return undefined;
    const inheritedWeight = numberAfter(defaultServerWords(document, section), "weight") ?? 1;
    return serversOf(section).map(({ name, address, port, weight, id }) => ({
      name,
      address,
      port,
      weight: weight ?? inheritedWeight,
      id: id ?? 0,
    }));
  }

  async createBackends(backends: readonly NewBackend[], author: string): Promise<void> {
    const edits = backends.map((backend) => backendEdit(backend, author));
    const outcomes = await Promise.allSettled(
      edits.map((edit) => this.#reloads.submit(edit, edit.message.replace("adds", "new"))),
    );
    this.#notify();
    const refused = outcomes.filter(({ status }) => status === "rejected");
    if (refused.length === outcomes.length && refused[0] !== undefined)
      throw (refused[0] as PromiseRejectedResult).reason;
  }

  async removeBackends(names: readonly string[], author: string): Promise<readonly ChangeResult[]> {
    const edits = names.map((name) => backendRemoval(this.document, name, author));
    const outcomes = await Promise.allSettled(
      edits.map((edit) => this.#reloads.submit(edit, edit.message.replace("removes", "gone"))),
    );
    this.#notify();
    return outcomes.map((outcome) =>
      outcome.status === "fulfilled" ? { ok: true } : { ok: false, error: asDomainError(outcome.reason) },
    );
  }

  changeServers(
    backend: string,
    changes: readonly ServerChange[],
    author: string,
  ): Promise<readonly ChangeResult[]> {
    return this.#runtime.changeServers(backend, changes, author);
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }

  /** Reads what the old worker runs, and tells the new one by the state file where the configuration loads one. */
  async #beforeReload({ before, after, untold }: PlannedReload): Promise<readonly ServerState[]> {
    const old = await this.#haproxy.runtime.serverStates().catch((error: unknown) => {
      this.#logger.warn(
        { err: error },
        "what was set at runtime could not be read and is lost with the reload",
      );
      return [];
    });
    await this.#writeStateFile(after, () =>
      stateFileContent(old, finderWithout(before, untold), finder(after)),
    );
    return old;
  }

  async #writeStateFile(document: Document, content: () => string): Promise<void> {
    const path = stateFileOf(document);
    if (path === undefined) return;
    await writeStateFile(this.#fs, path, content()).catch((error: unknown) => {
      this.#logger.warn(
        { err: error, path },
        "the server state file cannot be written; what was set at runtime is given back by commands",
      );
    });
  }

  async #afterReload({ old, before, after, untold, since }: Reloaded): Promise<FollowUp | undefined> {
    this.#runtime.workerChanged("from-document");
    // A later start, after a crash say, is not to begin with states of long ago.
    await this.#writeStateFile(after, () => EMPTY_STATE_FILE);
    const followUp = await this.#runtime.catchUp(since);
    const caughtUp = touchedServers(since.flatMap((edit) => edit.servers));
    const changes = givenBack(old, finderWithout(before, mergeTouched([untold, caughtUp])), finder(after));
    if (changes.length === 0) return followUp;
    const outcomes = await this.#haproxy.runtime.applyServers(changes);
    for (const [index, outcome] of outcomes.entries()) {
      if (!outcome.ok)
        this.#logger.error(
          { change: changes[index], err: outcome.error },
          "what was set at runtime could not be given back after the reload",
        );
    }
    return followUp;
  }

  /** A worker that we did not reload ourselves: it was started from the files as they were, or has been there before us. */
  #processChanged(state: ProcessState, previous: ProcessState): void {
    if (state.kind !== "running" || this.#reloads.stage === "reloading") return;
    if (previous.kind === "running" && previous.workerPid === state.workerPid) return;
    this.#runtime.workerChanged("unknown");
    const { written } = this.#writer;
    this.#working.startedFrom(Document.parse(this.#files.believed), written);
    this.#compareWorker();
  }

  /** Brings a worker that was started without us in step. Servers that have to finish their connections first may take long, so nobody waits for it. */
  #compareWorker(): void {
    void this.#runtime.catchUp(this.#working.since(this.#writer.written), true).then((followUp) => {
      if (followUp !== undefined)
        this.#logger.warn(
          { reason: followUp.reason },
          "HAProxy started without us and does not have all that the document says",
        );
      this.#notify();
    });
  }
}

/** Finds many servers of one document: a backend's are read once. */
function finder(document: Document): FindServer {
  const known = new Map<string, ReadonlyMap<string, ConfiguredServer | undefined>>();
  return (backend, server) => {
    let servers = known.get(backend);
    if (servers === undefined) {
      const section = backendSection(document, backend);
      servers = section === undefined ? new Map() : serversByName(section);
      known.set(backend, servers);
    }
    return servers.get(server);
  };
}

function readOnly(): DomainError {
  return new DomainError("NOT_SUPPORTED", "haplane only looks (--read-only): it writes and reloads nothing", {
    metadata: { needs: "a haplane that is not read-only" },
  });
}

/** The same, without servers of which the document says more than a worker was told. */
function finderWithout(document: Document, untold: TouchedServers): FindServer {
  const find = finder(document);
  return (backend, server) => (untold.get(backend)?.has(server) ? undefined : find(backend, server));
}

function backendEdit({ name, defaults, servers }: NewBackend, author: string): Edit {
  const resource = formatName("backends", name);
  return {
    apply: (document) =>
      backendSection(document, name) === undefined ? addBackend(document, name, servers, defaults) : document,
    resources: [resource, ...servers.map((server) => formatName("backends", name, "servers", server.name))],
    author,
    message: `adds ${resource}`,
    servers: servers.map((server) => ({ type: "added", backend: name, server })),
  };
}

function backendRemoval(present: Document, name: string, author: string): Edit {
  const resource = formatName("backends", name);
  const section = backendSection(present, name);
  return {
    apply: (document) => removeBackend(document, name),
    resources: [resource],
    author,
    message: `removes ${resource}`,
    servers: (section === undefined ? [] : serversOf(section)).map((server) => ({
      type: "removed",
      backend: name,
      server,
    })),
  };
}
