import { createHash } from "node:crypto";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  CreateSourceRequestSchema,
  type Source,
  type SourceSchema,
  SourceState,
} from "../../gen/haplane/v1/service_discovery_pb.js";
import { templateWords } from "../../src/config/server-template.ts";
import { createSources } from "../../src/discovery/create-sources.ts";
import type { SourceStore, StoredSource } from "../../src/discovery/source-store.ts";
import type { SourceChange, Sources } from "../../src/discovery/sources.ts";
import { ManualClock } from "../../src/lib/manual-clock.ts";
import { silent } from "./observed-registry.ts";
import { ScriptedRegistry } from "./scripted-registry.ts";
import { ScriptedTarget } from "./scripted-target.ts";

/** A store in memory. */
export class MemoryStore implements SourceStore {
  readonly kept = new Map<string, StoredSource>();

  async list(): Promise<readonly StoredSource[]> {
    return [...this.kept.values()];
  }

  async put(source: StoredSource): Promise<void> {
    this.kept.set(source.name, source);
  }

  async delete(name: string): Promise<void> {
    this.kept.delete(name);
  }
}

/** Discovery with everything around it scripted, and a source `sources/s` where a test wants one. */
export interface Discovery {
  readonly sources: Sources;
  readonly target: ScriptedTarget;
  readonly registry: ScriptedRegistry;
  readonly store: MemoryStore;
  readonly clock: ManualClock;
  /** What was published. */
  readonly changes: readonly SourceChange[];
  /** What HAProxy was told to run: source, and milliseconds since the answer. */
  readonly applied: readonly (readonly [source: string, tookMs: number])[];
  /** The states that were published, in order. */
  readonly states: readonly string[];
  /** Creates `sources/s`. */
  createSource(settings?: MessageInitShape<typeof SourceSchema>): Promise<Source>;
  /** Lets everything happen that needs no time. */
  settle(): Promise<void>;
  /** Lets time pass, and what happens in it. */
  pass(ms: number): Promise<void>;
  /** The state and reason of `sources/s`. */
  state(): string;
  /** A new haplane on the same store, HAProxy and registry. */
  restart(): Promise<Discovery>;
}

/** The backend of a service of `sources/s`. */
export function backendOf(service: string): string {
  return `consul-backend-127.0.0.1-8500-${service}`;
}

/** Starts discovery. */
export async function startDiscovery(
  from?: Pick<Discovery, "target" | "registry" | "store" | "clock">,
): Promise<Discovery> {
  const target = from?.target ?? new ScriptedTarget();
  const registry = from?.registry ?? new ScriptedRegistry();
  const store = from?.store ?? new MemoryStore();
  const clock = from?.clock ?? new ManualClock();
  const changes: SourceChange[] = [];
  const applied: [source: string, tookMs: number][] = [];
  const sources = createSources({
    target,
    store,
    clock,
    logger: silent,
    etag: (bytes) => createHash("sha256").update(bytes).digest("base64url"),
    onApplied: (source, tookMs) => applied.push([source, tookMs]),
    openRegistry: () => registry,
    templateWords: (template) => templateWords(template, undefined, "source.server_template"),
  });
  sources.subscribe((change) => changes.push(change));
  await sources.load();
  sources.start();
  const settle = async () => {
    for (let i = 0; i < 5; i++) await new Promise(setImmediate);
  };
  return {
    sources,
    target,
    registry,
    store,
    clock,
    changes,
    applied,
    get states() {
      return changes.map(({ source }) => SourceState[source.status?.state ?? 0] as string);
    },
    createSource: (settings = {}) =>
      sources.create(
        create(CreateSourceRequestSchema, {
          sourceId: "s",
          source: {
            registry: { case: "consul", value: { address: "127.0.0.1", token: "secret" } },
            ...settings,
          },
        }),
      ),
    settle,
    async pass(ms) {
      for (let left = ms; left > 0; left -= 50) {
        clock.advance(Math.min(left, 50));
        await settle();
      }
    },
    state() {
      const { state, reason } = sources.get("sources/s").status ?? {};
      return [SourceState[state ?? 0], reason].filter((part) => part !== "").join(": ");
    },
    async restart() {
      await sources.stop();
      return startDiscovery({ target, registry, store, clock });
    },
  };
}
