import * as nodeFs from "node:fs/promises";
import type { Logger } from "pino";
import type { Target } from "../discovery/target.ts";
import type { Haproxy } from "../haproxy/haproxy.ts";
import type { Clock } from "../lib/clock.ts";
import { Content } from "../lib/content.ts";
import type { FileSystem } from "../lib/durable-file.ts";
import type { DomainError } from "../lib/errors.ts";
import type { Store } from "../store/store.ts";
import { Document } from "../text/document.ts";
import { type ChangeOutcome, type ChangeRequest, type FileRequest, fileChange } from "./change.ts";
import { ChangeLane } from "./change-lane.ts";
import { ConfigFiles, FilePart } from "./config-files.ts";
import { type CommitEnd, type CountChange, countChanges } from "./count-changes.ts";
import { DiscoveryTarget } from "./discovery-target.ts";
import { endLeftOpen } from "./end-left-open.ts";
import { readOnly } from "./file-state.ts";
import { FileWriter } from "./file-writer.ts";
import { ForeignEdits, foundAtStart } from "./foreign-edits.ts";
import { History } from "./history.ts";
import { type HeldFiles, holdFiles } from "./hold-files.ts";
import { LateEdits } from "./late-edits.ts";
import type { CommitParts } from "./parts.ts";
import { type CommitPolicy, DEFAULT_POLICY } from "./policy.ts";
import type { ReloadDone } from "./reload-group.ts";
import { ReloadLane, type ReloadStage } from "./reload-lane.ts";
import { requireReplaceable } from "./replaceable.ts";
import { RuntimeLane } from "./runtime-lane.ts";
import type { PublishEphemeral } from "./server-event.ts";
import { StartedWorkers } from "./started-workers.ts";
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
  readonly publishEphemeral: PublishEphemeral;
  /**
   * How long a server of this backend may take to finish its connections, in milliseconds, when it is removed because a comparison found it: somebody was interrupted who would have said so. Default, also when it answers
   * undefined: 10 min.
   */
  readonly drainMsOf?: (backend: string) => number | undefined;
  /** Told of every change that was tried, validations apart. Default: nobody. */
  readonly onEnd?: (end: CommitEnd) => void;
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
export class Commit {
  readonly #parts: CommitParts;
  readonly #reloads: ReloadLane;
  readonly #runtime: RuntimeLane;
  readonly #changes: ChangeLane;
  readonly #foreign: ForeignEdits;
  readonly #handover: Handover;
  readonly #late: LateEdits;
  readonly #workers: StartedWorkers;
  readonly #target: DiscoveryTarget;
  readonly #count: CountChange;
  readonly #locks: HeldFiles | undefined;

  private constructor(
    options: CommitOptions,
    files: ConfigFiles,
    history: History,
    locks: HeldFiles | undefined,
  ) {
    this.#locks = locks;
    const { haproxy, store, clock, logger, publishEphemeral, onEnd = () => {}, fs = nodeFs } = options;
    const policy = { ...DEFAULT_POLICY, ...options.policy };
    const working = new WorkingDocument(Document.parse(files.believed));
    const onForeign = async () => void (await this.#foreign.takeOver());
    const writer = new FileWriter({
      ...{ working, files, history, store, clock, logger },
      onForeign: () => void onForeign(),
    });
    const parts: CommitParts = {
      ...{ haproxy, fs, store, working, files, writer, history, clock, logger, policy },
    };
    this.#parts = parts;
    // The lanes need each other: what is asked for later is looked up then.
    const handover: Handover = {
      before: (planned) => this.#handover.before(planned),
      after: (reloaded) => this.#handover.after(reloaded),
    };
    const reloads = new ReloadLane({ ...parts, handover, onForeign });
    const runtime = new RuntimeLane({
      ...{ ...parts, reloads, publishEphemeral },
      drainMsOf: options.drainMsOf ?? (() => undefined),
    });
    this.#reloads = reloads;
    this.#runtime = runtime;
    this.#handover = createHandover({ haproxy, fs, logger, runtime });
    this.#count = countChanges(clock, onEnd);
    const target = new DiscoveryTarget({ haproxy, working, reloads, runtime, count: this.#count });
    this.#target = target;
    this.#changes = new ChangeLane({
      ...{ ...parts, runtime, reloads, publishEphemeral },
      lookAtForeign: () => this.#foreign.look(),
    });
    this.#foreign = new ForeignEdits({ ...parts, reloads, onAdopted: () => target.notify() });
    this.#late = new LateEdits({ ...parts, look: () => this.#foreign.look() });
    files.onReplaced = (former) => this.#late.watch(former);
    this.#workers = new StartedWorkers({ ...parts, reloads, runtime, onCompared: () => target.notify() });
  }

  /** Reads the newest revision, or the files when there is none yet. Throws `NOT_SUPPORTED` when a file is missing or cannot be replaced, and `STATE_LOCKED` while another haplane writes it. The configuration is left alone, and HAProxy need not run yet. */
  static async open(options: CommitOptions): Promise<Commit> {
    const fs = options.fs ?? nodeFs;
    const files = new ConfigFiles(options.paths, fs);
    const readOnly = options.policy?.readOnly ?? DEFAULT_POLICY.readOnly;
    const history = new History(options.store, options.clock);
    const recorded = await history.load();
    const { parts, document } = await files.peek();
    if (!readOnly) {
      for (const { path } of parts) await requireReplaceable(fs, path);
      await createStateFile(fs, document).catch((error: unknown) => {
        options.logger.warn({ err: error }, "the server state file cannot be made");
      });
    }
    files.believe(
      recorded === undefined
        ? parts
        : parts.map(({ path }) => new FilePart(path, recorded.get(path) ?? Content.EMPTY)),
    );
    const locks = readOnly ? undefined : await holdFiles(fs, options.paths, options.logger);
    return new Commit(options, files, history, locks);
  }

  /**
   * Ends what a crash left open, adopts what changed while haplane was not there, and begins to watch the files. HAProxy has been started.
   */
  async start(): Promise<void> {
    const { files, history, working, writer, policy } = this.#parts;
    this.#workers.watch();
    if (policy.readOnly) files.state = { kind: "observed" };
    else await endLeftOpen(this.#parts, this.#locks?.lockPaths ?? []);
    const document = Document.parse(files.believed);
    working.rebase(document, writer.written);
    working.startedFrom(document, working.position);
    if (history.newest === 0)
      await history.append({
        parts: files.believed,
        lane: "external",
        edits: [foundAtStart(document)],
      });
    await this.#foreign.start();
    await this.#foreign.look();
    if (!policy.readOnly) this.#workers.compare();
  }

  /** Brings the file after what is live, and stops. */
  async stop(): Promise<void> {
    this.#foreign.stop();
    this.#workers.stop();
    this.#runtime.stop();
    await this.#reloads.stop();
    await this.#parts.writer.flush();
    await this.#late.stop();
    this.#locks?.release();
  }

  /** Lets go of what would keep the process awake, without finishing anything: for a process that cannot go on. */
  abandon(): void {
    this.#foreign.stop();
    this.#parts.writer.stop();
    this.#late.abandon();
    this.#locks?.release();
    this.#workers.stop();
  }

  /** What the file is to hold and HAProxy is to run. */
  get document(): Document {
    return this.#parts.working.current;
  }

  /** What discovery reads and changes. */
  get target(): Target {
    return this.#target;
  }

  /** What there is to see. */
  get status(): CommitStatus {
    const { state } = this.#parts.files;
    const held = state.kind === "held" ? state.why : undefined;
    return { stage: this.#reloads.stage, lagging: this.#parts.writer.failure, held };
  }

  /** Number of the newest revision. */
  get revision(): number {
    return this.#parts.history.newest;
  }

  /**
   * Changes the configuration; resolves when HAProxy runs it. Everything is as before when it rejects: with what the edit throws, `ETAG_MISMATCH`, `CONFIGURATION_REFUSED`, `FILE_HELD`,
   * `HAPROXY_UNAVAILABLE`, `TIMED_OUT`, `STORE_UNAVAILABLE`, `SHUTTING_DOWN`.
   */
  async change(request: ChangeRequest): Promise<ChangeOutcome> {
    if (this.#parts.policy.readOnly && request.validateOnly !== true) throw readOnly();
    if (request.validateOnly === true) return this.#changes.change(request);
    const outcome = await this.#count(
      () => this.#changes.change(request),
      ({ via }) => via,
    );
    this.#target.notify();
    return outcome;
  }

  /**
   * Replaces files beside the configuration, together or not at all. Where a word of the configuration names one, HAProxy's check reads them first, and HAProxy is reloaded; what it refuses is undone. Where none
   * does they are written, durably. Resolves and rejects as `change` does, and with what a guard throws; a revision says who did it and why, but holds no content of the files.
   */
  replaceFiles(request: FileRequest): Promise<ChangeOutcome> {
    return this.change(fileChange(request));
  }

  /** Reloads HAProxy, after an edit of the file by hand that waited has been taken over. Rejects as `change` does. */
  async reload(): Promise<ReloadDone> {
    if (this.#parts.policy.readOnly) throw readOnly();
    await this.#foreign.look(true);
    return this.#reloads.submit(undefined, "it was asked for");
  }

  /** Says that somebody has told the worker something that may contradict the document: what it runs is compared anew, backend by backend, when they are next changed. */
  doubtWorker(): void {
    this.#runtime.workerChanged("unknown");
  }
}
