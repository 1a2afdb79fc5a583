import * as nodeFs from "node:fs/promises";
import type { Logger } from "pino";
import type { Event } from "../../gen/haplane/v1/events_pb.js";
import { defaultServerWords } from "../config/defaults.ts";
import { formatName } from "../config/name.ts";
import { removeBackend } from "../config/remove-backend.ts";
import { backendSection, numberAfter, serversOf } from "../config/server.ts";
import { addBackend, addServers } from "../config/server-edits.ts";
import type {
  ChangeResult,
  NewBackend,
  NewServer,
  ServerChange,
  Target,
  TargetServer,
} from "../discovery/target.ts";
import type { Haproxy } from "../haproxy/haproxy.ts";
import type { ProcessState } from "../haproxy/process-state.ts";
import type { Clock } from "../lib/clock.ts";
import type { FileSystem } from "../lib/durable-file.ts";
import { DomainError } from "../lib/errors.ts";
import type { Store } from "../store/store.ts";
import { Document } from "../text/document.ts";
import { asDomainError } from "./as-domain-error.ts";
import { type FileWrite, isSame } from "./attached-files.ts";
import type { ChangeOutcome, ChangeRequest } from "./change.ts";
import { ChangeLane } from "./change-lane.ts";
import { takesServers } from "./classify.ts";
import { ConfigFiles } from "./config-files.ts";
import type { Edit } from "./edit.ts";
import { readOnly } from "./file-state.ts";
import { FileWriter } from "./file-writer.ts";
import { externalEdit, ForeignEdits } from "./foreign-edits.ts";
import { History } from "./history.ts";
import { decodeIntent } from "./intent.ts";
import { LateEdits } from "./late-edits.ts";
import { clearLeftovers } from "./leftovers.ts";
import type { CommitParts } from "./parts.ts";
import { type CommitPolicy, DEFAULT_POLICY } from "./policy.ts";
import { formerContent, recover } from "./recovery.ts";
import type { ReloadDone } from "./reload-group.ts";
import { ReloadLane, type ReloadStage } from "./reload-lane.ts";
import { requireReplaceable } from "./replaceable.ts";
import { RuntimeLane } from "./runtime-lane.ts";
import { standBack } from "./stand-in.ts";
import { createStateFile } from "./state-file.ts";
import { createHandover, type Handover } from "./worker-handover.ts";
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
  /** Told of every change that was tried, validations apart. Default: nobody. */
  readonly onEnd?: (end: CommitEnd) => void;
  /** What is not given holds as in `DEFAULT_POLICY`. */
  readonly policy?: Partial<CommitPolicy>;
  /** Default: Node's. Tests pass their own, to stop between two operations. */
  readonly fs?: FileSystem;
}

/** Files beside the configuration that somebody wants replaced. */
export interface FileRequest extends Pick<Edit, "author" | "message" | "along"> {
  readonly files: readonly FileWrite[];
  /** Names of the resources that they stand for, for the history. Default: none. */
  readonly resources?: readonly string[];
  /** See `Edit.alwaysReload`. Default false. */
  readonly alwaysReload?: boolean;
  /** See `ChangeRequest.validateOnly`. Default false. */
  readonly validateOnly?: boolean;
}

/** What became of a change. */
export interface CommitEnd {
  /** By which way HAProxy came to it; `none` when there was nothing to do, or when it was refused before that was known. */
  readonly lane: "runtime" | "reload" | "discovery" | "none";
  /** `ok`, or the reason of the error. */
  readonly outcome: string;
  readonly tookMs: number;
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
  readonly #handover: Handover;
  readonly #late: LateEdits;
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
      ...{ working, files, history, store, clock, logger },
      onForeign: () => void onForeign(),
    });
    const parts: CommitParts = {
      ...{ haproxy, fs, store, working, files, writer, history, clock, logger, policy },
    };
    // The lanes need each other: what is asked for later is looked up then.
    const handover: Handover = {
      before: (planned) => this.#handover.before(planned),
      after: (reloaded) => this.#handover.after(reloaded),
    };
    const reloads = new ReloadLane({ ...parts, handover, onForeign });
    const runtime = new RuntimeLane({ ...parts, reloads, publishEphemeral });
    this.#working = working;
    this.#writer = writer;
    this.#reloads = reloads;
    this.#runtime = runtime;
    this.#handover = createHandover({ haproxy, fs, logger, runtime });
    this.#changes = new ChangeLane({
      ...{ ...parts, runtime, reloads, publishEphemeral },
      lookAtForeign: () => this.#foreign.look(),
    });
    this.#foreign = new ForeignEdits({ ...parts, reloads, onAdopted: () => this.#notify() });
    this.#late = new LateEdits({ ...parts, look: () => this.#foreign.look() });
    files.onReplaced = (former) => this.#late.watch(former);
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
    if (this.#policy.readOnly) files.state = { kind: "observed" };
    else await this.#endWhatWasLeftOpen();
    const document = Document.parse(files.believed);
    this.#working.rebase(document, this.#writer.written);
    this.#working.startedFrom(document, this.#working.position);
    if (history.newest === 0)
      await history.append({
        parts: files.believed,
        lane: "external",
        edits: [externalEdit(document, document)],
      });
    await this.#foreign.start();
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
      return former.some((bytes) => isSame(bytes, content));
    };
    const attached = intents.flatMap(({ data }) => decodeIntent(data).next.map(({ path }) => path));
    const paths = [...new Set([...files.paths, ...attached])];
    // What a reload that recovery makes reads has to be the files.
    await standBack({ haproxy: this.#haproxy, fs: this.#fs, files, logger: this.#logger });
    await clearLeftovers(this.#fs, paths, isKnown, this.#logger, this.#haproxy.standIns?.paths);
    await recover({
      ...{ haproxy: this.#haproxy, fs: this.#fs, store, files, history },
      ...{ clock: this.#options.clock, logger: this.#logger },
    });
  }

  /** Brings the file after what is live, and stops. */
  async stop(): Promise<void> {
    this.#foreign.stop();
    this.#unsubscribe?.();
    this.#runtime.stop();
    await this.#reloads.stop();
    await this.#writer.flush();
    await this.#late.stop();
  }

  /** Lets go of what would keep the process awake, without finishing anything: for a process that cannot go on. */
  abandon(): void {
    this.#foreign.stop();
    this.#writer.stop();
    this.#late.abandon();
    this.#unsubscribe?.();
  }

  /** What the file is to hold and HAProxy is to run. */
  get document(): Document {
    return this.#working.current;
  }

  /** What there is to see. */
  get status(): CommitStatus {
    const { state } = this.#files;
    const held = state.kind === "held" ? state.why : undefined;
    return { stage: this.#reloads.stage, lagging: this.#writer.failure, held };
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
    if (request.validateOnly === true) return this.#changes.change(request);
    const outcome = await this.#counted(
      () => this.#changes.change(request),
      ({ via }) => via,
    );
    this.#notify();
    return outcome;
  }

  /**
   * Replaces files beside the configuration, together or not at all. Where a word of the configuration names one, HAProxy's check reads them first, and HAProxy is reloaded; what it refuses is undone. Where none
   * does they are written, durably. Resolves and rejects as `change` does, and with what a guard throws; a revision says who did it and why, but holds no content of the files.
   */
  replaceFiles({ validateOnly = false, resources = [], ...request }: FileRequest): Promise<ChangeOutcome> {
    const edit = { ...request, resources, apply: (document: Document) => document, servers: [] };
    return this.change({ edit, validateOnly });
  }

  /** Reloads HAProxy, after an edit of the file by hand that waited has been taken over. Rejects as `change` does. */
  async reload(): Promise<ReloadDone> {
    if (this.#policy.readOnly) throw readOnly();
    await this.#foreign.look(true);
    return this.#reloads.submit(undefined, "it was asked for");
  }

  /** Says that somebody has told the worker something that may contradict the document: what it runs is compared anew, backend by backend, when they are next changed. */
  doubtWorker(): void {
    this.#runtime.workerChanged("unknown");
  }

  servers(backend: string): readonly TargetServer[] | undefined {
    const document = this.document;
    const section = backendSection(document, backend);
    if (section === undefined) return undefined;
    const inheritedWeight = numberAfter(defaultServerWords(document, section), "weight") ?? 1;
    return serversOf(section).map(({ name, address, port, weight, id, disabled }) => ({
      name,
      address,
      port,
      weight: weight ?? inheritedWeight,
      id: id ?? 0,
      disabled,
    }));
  }

  takesServers(backend: string, options: readonly string[], defaults: string): boolean {
    const version = this.#haproxy.capabilities?.version;
    if (version === undefined) return true;
    try {
      const present = backendSection(this.document, backend);
      const document =
        present === undefined ? addBackend(this.document, backend, [], defaults) : this.document;
      const section = present ?? backendSection(document, backend);
      return section === undefined || takesServers(document, section, options, version);
    } catch (error) {
      // It cannot be made; whoever makes it is told why.
      if (error instanceof DomainError) return true;
      throw error;
    }
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

  async addServers(backend: string, servers: readonly NewServer[], author: string): Promise<void> {
    const edit = serversEdit(backend, servers, author);
    await this.#reloads.submit(edit, edit.message.replace("adds", "new"));
    this.#notify();
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
    signal?: AbortSignal,
  ): Promise<readonly ChangeResult[]> {
    return this.#counted(
      () => this.#runtime.changeServers(backend, changes, author, signal),
      () => "discovery",
    );
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async #counted<T>(change: () => Promise<T>, laneOf: (done: T) => CommitEnd["lane"]): Promise<T> {
    const start = this.#options.clock.monotonic();
    const end = (lane: CommitEnd["lane"], outcome: string) =>
      this.#options.onEnd?.({ lane, outcome, tookMs: this.#options.clock.monotonic() - start });
    try {
      const done = await change();
      end(laneOf(done), "ok");
      return done;
    } catch (error) {
      end("none", error instanceof DomainError ? error.reason : "INTERNAL");
      throw error;
    }
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
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

function serversEdit(backend: string, servers: readonly NewServer[], author: string): Edit {
  return {
    apply: (document) => addServers(document, backend, servers),
    resources: servers.map((server) => formatName("backends", backend, "servers", server.name)),
    author,
    message: `adds ${servers.length} servers to ${formatName("backends", backend)}`,
    servers: servers.map((server) => ({ type: "added", backend, server })),
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
