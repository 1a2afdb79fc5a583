import { fromBinary } from "@bufbuild/protobuf";
import {
  type DeleteSourceRequest,
  type Source as SourceMessage,
  SourceSchema,
} from "../../gen/haplane/v1/service_discovery_pb.js";
import { DomainError } from "../lib/errors.ts";
import { Serial } from "../lib/serial.ts";
import { createBackendNames } from "./backend-names.ts";
import { CONSUL_DEFAULTS, createConsulRegistry } from "./consul/registry.ts";
import { consulSettings } from "./consul/settings.ts";
import { createDepartures } from "./departures.ts";
import { createDnsRegistry } from "./dns/registry.ts";
import { dnsSettings } from "./dns/settings.ts";
import { durationMs } from "./durations.ts";
import { decodeMemory, NO_MEMORY } from "./memory.ts";
import { type Kept, pruneBackends } from "./prune.ts";
import type { Registry } from "./registry.ts";
import { readSettings, retryDelays, withDefaults } from "./settings.ts";
import { Source, type SourceParts } from "./source.ts";
import { readSourceName } from "./source-name.ts";
import type { SourceSettings } from "./source-settings.ts";
import type { SourceChange, Sources, SourcesOptions } from "./sources.ts";
import { updateSettings } from "./update.ts";

const NOTHING_KEPT: Promise<readonly Kept[]> = Promise.resolve([]);

/** Sources that are kept in a store and drive a target. Not started yet. */
export function createSources(options: SourcesOptions): Sources {
  const { target, store, clock, logger } = options;
  const sources = new Map<string, Source>();
  const listeners = new Set<(change: SourceChange) => void>();
  const serviceListeners = new Set<(source: string) => void>();
  /** Creations, updates and deletions, one at a time. */
  const writes = new Serial();
  /** Removals of deleted sources' backends that are under way, with the identity of the source. They wait for reloads, which they share. */
  const prunes = new Map<Promise<unknown>, string>();
  const parts: SourceParts = {
    context: {
      target,
      departures: createDepartures(),
      backendNames: createBackendNames(),
      clock,
      logger,
    },
    store,
    etag: options.etag,
    templateWords: options.templateWords,
    onApplied: options.onApplied,
    openRegistry: options.openRegistry ?? open,
    onServices(source) {
      for (const listener of [...serviceListeners]) listener(source);
    },
  };

  function open(settings: SourceSettings): Registry {
    const { registry } = settings;
    const retry = retryDelays(settings);
    switch (registry.case) {
      case "consul":
        return createConsulRegistry(consulSettings(registry.value, retry), { ...CONSUL_DEFAULTS, clock });
      case "dns":
        return createDnsRegistry(dnsSettings(registry.value, retry), clock);
    }
  }

  function checkTemplate({ serverTemplate }: SourceSettings): void {
    if (serverTemplate !== undefined) options.templateWords(serverTemplate, "running");
  }

  function publish(type: SourceChange["type"], source: SourceMessage): void {
    for (const listener of [...listeners]) listener({ type, source });
  }

  function find(name: string): Source {
    const source = sources.get(name);
    if (source === undefined) throw notFound(name);
    return source;
  }

  /** Deletes a source, without its backends. Resolves with the removal of those, which is under way: an object, since nobody is to wait for it here. */
  const remove = ({ name, etag, allowMissing, prune }: DeleteSourceRequest) =>
    writes.run(async () => {
      if (allowMissing && !sources.has(name)) return { pruned: NOTHING_KEPT };
      const source = find(name);
      refuseStale(source, etag);
      const last = source.describe();
      const { backends, created } = await source.erase();
      sources.delete(name);
      publish("removed", last);
      parts.onServices(name);
      if (!prune) return { pruned: NOTHING_KEPT };
      const pruned = created.then(() =>
        pruneBackends(parts.context, backends, name, durationMs(source.settings.drainTime)),
      );
      prunes.set(pruned, identityOf(source.settings));
      const forget = () => void prunes.delete(pruned);
      pruned.then(forget, forget);
      return { pruned };
    });

  /** Resolves when the backends that a source would have are not about to be removed. */
  async function untilPruned(settings: SourceSettings): Promise<void> {
    const identity = identityOf(settings);
    await Promise.allSettled([...prunes].filter(([, other]) => other === identity).map(([prune]) => prune));
  }

  const onState = (source: Source) => publish("updated", source.describe());

  return {
    async load() {
      for (const stored of await store.list()) {
        const settings = withDefaults(fromBinary(SourceSchema, stored.settings));
        const source = new Source(settings, decodeMemory(stored.memory), parts, onState);
        sources.set(source.name, source);
      }
      // Of two that remember the same backend, which an earlier version may have let happen, one that is enabled has it.
      const all = [...sources.values()];
      for (const enabled of [true, false]) {
        for (const source of all) if (source.settings.enabled === enabled) source.keepBackends();
      }
    },

    start() {
      for (const source of sources.values()) source.start();
    },

    async stop() {
      await writes.idle();
      await Promise.allSettled(prunes.keys());
      await Promise.all([...sources.values()].map((source) => source.stop()));
    },

    create: (request) =>
      writes.run(async () => {
        const message = request.source;
        if (message === undefined) throw required("source");
        const name = readSourceName(request.sourceId, message.name);
        const settings = readSettings(name, message, "source");
        if (sources.has(name)) throw exists(name, `${name} exists already`);
        refuseSharedRegistry(sources.values(), settings);
        checkTemplate(settings);
        await untilPruned(settings);
        const source = new Source(settings, NO_MEMORY, parts, onState);
        await source.save();
        sources.set(name, source);
        source.start();
        const created = source.describe();
        publish("added", created);
        return created;
      }),

    get: (name) => find(name).describe(),

    owns(backend) {
      const source = parts.context.backendNames.sourceOf(backend);
      return source !== undefined && sources.get(source)?.settings.enabled === true;
    },

    drainMsOf(backend) {
      const source = [...sources.values()].find((candidate) => candidate.hasMade(backend));
      return source && durationMs(source.settings.drainTime);
    },

    list: () => [...sources.values()].sort(byName).map((source) => source.describe()),

    update: (request) =>
      writes.run(async () => {
        const message = request.source;
        if (message === undefined) throw required("source");
        const source = find(message.name);
        refuseStale(source, message.etag);
        const settings = updateSettings(source.settings, message, request.updateMask?.paths);
        checkTemplate(settings);
        await source.change(settings);
        const updated = source.describe();
        publish("updated", updated);
        return updated;
      }),

    async sync({ name, acceptLoss }) {
      const source = find(name);
      await source.sync(acceptLoss);
      // Nothing that an answer could tell is true any more.
      if (source.isErased) throw notFound(name);
      return source.describe();
    },

    services: (name) =>
      find(name)
        .services.map((view) => view.describe())
        .sort((a, b) => (a.service < b.service ? -1 : 1)),

    serviceViews: (name) => find(name).services,

    delete: async (request) => (await remove(request)).pruned,

    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },

    subscribeServices(listener) {
      serviceListeners.add(listener);
      return () => void serviceListeners.delete(listener);
    },
  };
}

/** Two sources of one registry under the same names would take turns at the same backends. */
function refuseSharedRegistry(sources: Iterable<Source>, settings: SourceSettings): void {
  for (const { name, settings: other } of sources) {
    if (identityOf(other) === identityOf(settings))
      throw exists(name, `${name} watches this registry under the same backend names already`);
  }
}

function identityOf({ backendName, registry }: SourceSettings): string {
  if (registry.case === "dns") return JSON.stringify([registry.value.servers, backendName]);
  const { address, port, datacenter, namespace, partition } = registry.value;
  return JSON.stringify([address.toLowerCase(), port, datacenter, namespace, partition, backendName]);
}

function refuseStale(source: Source, etag: string): void {
  if (etag === "" || etag === source.etag) return;
  throw new DomainError("ETAG_MISMATCH", `${source.name} has been changed`, {
    resource: { type: "source", name: source.name },
    metadata: { sent: etag.slice(0, 100), current: source.etag },
  });
}

function byName(a: Source, b: Source): number {
  return a.name < b.name ? -1 : 1;
}

function exists(name: string, message: string): DomainError {
  return new DomainError("RESOURCE_EXISTS", message, {
    resource: { type: "source", name },
  });
}

function notFound(name: string): DomainError {
  return new DomainError("RESOURCE_NOT_FOUND", "there is no such source", {
    resource: { type: "source", name },
  });
}

function required(field: string): DomainError {
  return new DomainError("FIELD_INVALID", `${field} is required`, {
    violations: [{ field, description: "is required" }],
  });
}
