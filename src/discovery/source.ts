import { clone, equals, toBinary } from "@bufbuild/protobuf";
import { type Source as SourceMessage, SourceSchema } from "../../gen/haplane/v1/service_discovery_pb.js";
import { DomainError } from "../lib/errors.ts";
import { Serial } from "../lib/serial.ts";
import { durationMs } from "./durations.ts";
import { encodeMemory, type Memory } from "./memory.ts";
import { createMemoryWriter } from "./memory-writer.ts";
import type { Registry } from "./registry.ts";
import { RunningSource } from "./running-source.ts";
import type { ServiceView } from "./service-views.ts";
import { backendNaming, retryDelays, slotPolicy, toSource } from "./settings.ts";
import type { SourceSettings } from "./source-settings.ts";
import type { SourceStore } from "./source-store.ts";
import type { SourceContext } from "./source-task.ts";
import type { SourcesOptions } from "./sources.ts";
import { type Status, toSourceStatus } from "./status.ts";

/** What all sources are given. */
export interface SourceParts {
  readonly context: SourceContext;
  readonly store: SourceStore;
  readonly etag: (bytes: Uint8Array) => string;
  /** See `SourcesOptions`. */
  readonly templateWords: SourcesOptions["templateWords"];
  /** The registry that the settings describe. */
  readonly openRegistry: (settings: SourceSettings) => Registry;
  /** Called with a source's name when what is known of its services may have changed. */
  readonly onServices: (source: string) => void;
  /** See `SourcesOptions`. */
  readonly onApplied: SourcesOptions["onApplied"];
}

/** A source from its creation to its deletion: its settings, what is remembered of its registry, and its present run. */
export class Source {
  readonly #parts: SourceParts;
  readonly #onState: (source: Source) => void;
  readonly #storing = new Serial();
  readonly #writer;
  #settings: SourceSettings;
  #memory: Memory;
  #run: RunningSource | undefined;
  #isErased = false;

  /** Not started yet. `onState` is called when the kind of its state has changed by itself. */
  constructor(
    settings: SourceSettings,
    memory: Memory,
    parts: SourceParts,
    onState: (source: Source) => void,
  ) {
    this.#settings = settings;
    this.#memory = memory;
    this.#parts = parts;
    this.#onState = onState;
    this.#writer = createMemoryWriter(parts.context.clock, () => this.#keepMemory());
  }

  /** Resource name, `sources/{source}`. */
  get name(): string {
    return this.#settings.name;
  }

  get settings(): SourceSettings {
    return this.#settings;
  }

  /** Whether it is deleted: nothing of it is kept any more. */
  get isErased(): boolean {
    return this.#isErased;
  }

  get etag(): string {
    return this.#parts.etag(toBinary(SourceSchema, this.#settings));
  }

  /** Whether this is the backend of a service of its own, also of one that is gone by now. */
  hasMade(backend: string): boolean {
    if (this.#run !== undefined) return this.#run.hasMade(backend);
    return backendsOf(this.#memory).includes(backend);
  }

  /** The source as answers and events have it: without its token, with etag and status. */
  describe(): SourceMessage {
    const message = toSource(this.#settings, this.etag);
    message.status = toSourceStatus(this.#run?.status ?? this.#idleStatus());
    return message;
  }

  /** Claims the backends of its services before anybody starts, be it that it is disabled. */
  keepBackends(): void {
    this.#parts.context.backendNames.keep(this.name, this.#memory.backends);
  }

  /** Begins to watch, if it is enabled. */
  start(): void {
    if (!this.#settings.enabled || this.#run !== undefined) return;
    const { context, openRegistry } = this.#parts;
    const settings = this.#settings;
    this.#run = new RunningSource(
      {
        name: settings.name,
        registry: openRegistry(settings),
        nameBackend: backendNaming(settings),
        retry: retryDelays(settings),
        making: {
          defaults: settings.defaults,
          slots: slotPolicy(settings),
          options: templateOptions(settings, this.#parts.templateWords),
          drainMs: durationMs(settings.drainTime),
        },
        losses: {
          holdMs: durationMs(settings.acceptLossAfter),
          percent: settings.lossPercent,
        },
        memory: this.#memory,
        onState: () => this.#onState(this),
        onServices: () => this.#parts.onServices(this.name),
        onApplied: (tookMs) => this.#parts.onApplied(settings.name, tookMs),
        onMemory: () => this.#writer.touch(),
      },
      context,
    );
  }

  /** Ends the watch; nothing more is sent to anybody. Resolves when its connections are closed and what it has to remember is kept. */
  async stop(): Promise<void> {
    const run = this.#run;
    if (run === undefined) return;
    this.#memory = run.memory;
    this.#run = undefined;
    await run.stop();
    await this.#writer.flush();
  }

  /** Keeps the source in the store. */
  async save(): Promise<void> {
    await this.#put(this.#settings, this.#latestMemory);
  }

  /** Keeps new settings and goes on with them; when they cannot be kept, with the present ones. */
  async change(settings: SourceSettings): Promise<void> {
    await this.#put(settings, this.#latestMemory);
    const isWatchedAlike = watchesAlike(settings, this.#settings);
    if (!isWatchedAlike) await this.stop();
    this.#settings = settings;
    if (isWatchedAlike) return;
    this.start();
    this.#parts.onServices(this.name);
  }

  /** Removes the source from the store, ends it, and lets others have its backends' names. Resolves with the backends that it has made, and when those are there that it was making. */
  async erase(): Promise<{ readonly backends: readonly string[]; readonly created: Promise<void> }> {
    await this.#storing.run(async () => {
      await this.#parts.store.delete(this.name);
      this.#isErased = true;
    });
    const run = this.#run;
    await this.stop();
    this.#parts.context.backendNames.releaseAll(this.name);
    return { backends: backendsOf(this.#memory), created: run?.created() ?? Promise.resolve() };
  }

  /** See `RunningSource.sync`. Rejects with `SOURCE_DISABLED` when it is disabled. */
  async sync(acceptLoss: boolean): Promise<void> {
    if (this.#run === undefined) {
      throw new DomainError("SOURCE_DISABLED", `${this.name} is disabled`, {
        resource: { type: "source", name: this.name },
      });
    }
    await this.#run.sync(acceptLoss);
  }

  /** What was found; nothing while it is disabled. */
  get services(): ServiceView[] {
    return this.#run?.services ?? [];
  }

  get #latestMemory(): Memory {
    return this.#run?.memory ?? this.#memory;
  }

  async #keepMemory(): Promise<void> {
    try {
      await this.#put(this.#settings, this.#latestMemory);
    } catch (error) {
      this.#parts.context.logger.warn(
        { err: error, source: this.name },
        "what a source has to remember could not be kept",
      );
    }
  }

  #put(settings: SourceSettings, memory: Memory): Promise<void> {
    const { name } = settings;
    return this.#storing.run(async () => {
      if (this.#isErased) return;
      await this.#parts.store.put({
        name,
        settings: toBinary(SourceSchema, settings),
        memory: encodeMemory(memory),
      });
    });
  }

  #idleStatus(): Status {
    return {
      state: { kind: "disabled" },
      index: this.#memory.index,
      lastSuccessMs: undefined,
      lastError: undefined,
      services: 0,
      servers: 0,
      unbelieved: this.#memory.doubt,
    };
  }
}

function backendsOf({ backends, left }: Memory): string[] {
  return [...new Set([...backends.values(), ...left.keys()])];
}

/** The words of the template, which were good when it was set. What a HAProxy of another version does not take, it refuses by itself. */
function templateOptions(
  { serverTemplate }: SourceSettings,
  words: SourcesOptions["templateWords"],
): readonly string[] {
  return serverTemplate === undefined ? [] : words(serverTemplate, "any-version");
}

/** Whether a watch goes on unchanged: the description is for people only. */
function watchesAlike(a: SourceSettings, b: SourceSettings): boolean {
  const other = clone(SourceSchema, b);
  other.description = a.description;
  return equals(SourceSchema, a, other);
}
