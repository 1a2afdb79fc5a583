import { createHash } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import {
  type DiscoveredService,
  DiscoveredServiceSchema,
} from "../../gen/haplane/v1/service_discovery_pb.js";
import type { Clock } from "../lib/clock.ts";
import type { Sources } from "./sources.ts";

/** How long a change waits for others, and how many times longer than the last look it waits at least. */
const LOOK_MS = 1_000;
const REST = 19;

/** What is known of a service has changed. */
export interface ServiceChange {
  readonly type: "added" | "updated" | "removed";
  /** The service after it; as it was known last, without servers, when removed. */
  readonly service: DiscoveredService;
}

/** A watch of the services of all sources. */
export interface ServiceWatch {
  /** Looks at all sources and takes what they have for known; changes are told from there. */
  begin(): readonly DiscoveredService[];
  /** Nothing is told any more. */
  close(): void;
}

/** A service as it was told last. */
interface Told {
  /** Of its view: the same one needs no second look. */
  readonly version: object;
  /** Of all that a reader would see of it. A digest, since a service may have thousands of servers. */
  readonly digest: string;
  /** Without its servers. */
  readonly service: DiscoveredService;
}

/**
 * Tells of services that are found, change and go. A source is looked at a while after something has happened in it, so that what comes and goes at once costs nothing, and a thousand services that
 * change together are told together.
 */
export function watchServices(
  { sources, clock }: { readonly sources: Sources; readonly clock: Clock },
  tell: (changes: readonly ServiceChange[]) => void,
): ServiceWatch {
  /** By source, then by name. */
  const known = new Map<string, ReadonlyMap<string, Told>>();
  /** Looks that are to come: source → the way to cancel. */
  const waiting = new Map<string, () => void>();
  let lookMs = 0;

  function look(source: string): void {
    waiting.delete(source);
    const started = clock.monotonic();
    const changes = read(source);
    lookMs = clock.monotonic() - started;
    if (changes.length > 0) tell(changes);
  }

  function read(source: string): ServiceChange[] {
    const before = known.get(source) ?? new Map<string, Told>();
    const now = new Map<string, Told>();
    const changes: ServiceChange[] = [];
    const exists = sources.list().some(({ name }) => name === source);
    for (const view of exists ? sources.serviceViews(source) : []) {
      const told = before.get(view.name);
      if (told?.version === view.version) {
        now.set(view.name, told);
        continue;
      }
      const service = view.describe();
      const digest = digestOf(service);
      now.set(view.name, {
        ...{ version: view.version, digest },
        service: create(DiscoveredServiceSchema, { ...service, servers: [] }),
      });
      if (told === undefined) changes.push({ type: "added", service });
      else if (told.digest !== digest) changes.push({ type: "updated", service });
    }
    for (const [name, { service }] of before) if (!now.has(name)) changes.push({ type: "removed", service });
    if (exists) known.set(source, now);
    else known.delete(source);
    return changes;
  }

  const unsubscribe = sources.subscribeServices((source) => {
    if (waiting.has(source)) return;
    waiting.set(
      source,
      clock.after(Math.max(LOOK_MS, REST * lookMs), () => look(source)),
    );
  });

  return {
    begin() {
      for (const { name } of sources.list()) read(name);
      return sources.list().flatMap(({ name }) => sources.services(name));
    },
    close() {
      unsubscribe();
      for (const cancel of waiting.values()) cancel();
      waiting.clear();
    },
  };
}

/** The registry may say the same anew: that is no change, so the time of it does not count. */
function digestOf({ lastChangeTime, ...service }: DiscoveredService): string {
  const bytes = toBinary(DiscoveredServiceSchema, create(DiscoveredServiceSchema, service));
  return createHash("sha1").update(bytes).digest("base64");
}
