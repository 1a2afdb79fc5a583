import type { Logger } from "pino";
import type { Haproxy } from "../haproxy/haproxy.ts";
import type { ProcessState } from "../haproxy/process-state.ts";
import { Document } from "../text/document.ts";
import type { ConfigFiles } from "./config-files.ts";
import type { FileWriter } from "./file-writer.ts";
import type { ReloadLane } from "./reload-lane.ts";
import type { RuntimeLane } from "./runtime-lane.ts";
import type { WorkingDocument } from "./working-document.ts";

/** What it is given. */
export interface StartedWorkersOptions {
  readonly haproxy: Haproxy;
  readonly working: WorkingDocument;
  readonly files: ConfigFiles;
  readonly writer: FileWriter;
  readonly reloads: ReloadLane;
  readonly runtime: RuntimeLane;
  readonly logger: Logger;
  /** Called when a worker has been compared. */
  readonly onCompared: () => void;
}

/** Brings workers in step that we did not reload ourselves: started from the files as they were, or there before us. */
export class StartedWorkers {
  readonly #options: StartedWorkersOptions;
  #unsubscribe: (() => void) | undefined;

  constructor(options: StartedWorkersOptions) {
    this.#options = options;
  }

  /** Begins to look out for them. */
  watch(): void {
    this.#unsubscribe = this.#options.haproxy.subscribe((state, previous) => this.#changed(state, previous));
  }

  /** Looks out for them no more. */
  stop(): void {
    this.#unsubscribe?.();
  }

  /** Compares the worker that runs. Servers that have to finish their connections first may take long, so nobody waits for it. */
  compare(): void {
    const { runtime, working, writer, logger, onCompared } = this.#options;
    void runtime.catchUp(working.since(writer.written), true).then((followUp) => {
      if (followUp !== undefined)
        logger.warn(
          { reason: followUp.reason },
          "HAProxy started without us and does not have all that the document says",
        );
      onCompared();
    });
  }

  #changed(state: ProcessState, previous: ProcessState): void {
    const { reloads, runtime, working, files, writer } = this.#options;
    if (state.kind !== "running" || reloads.stage === "reloading") return;
    if (previous.kind === "running" && previous.workerPid === state.workerPid) return;
    runtime.workerChanged("unknown");
    working.startedFrom(Document.parse(files.believed), writer.written);
    this.compare();
    reloads.workerStarted();
  }
}
