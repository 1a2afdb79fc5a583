import { backendName } from "./names.ts";

/**
 * Which service has which backend, over all sources: two services never share one, whatever their names and their sources' addresses look like. A source that does not run keeps those of its
 * services, so that nobody else changes them.
 */
export interface BackendNames {
  /** The backend of a service: `remembered` from an earlier run if it is still free, else what `nameOf` calls it, made unique. */
  claim(source: string, service: string, nameOf: (service: string) => string, remembered?: string): string;
  /** Claims what a source that does not run yet remembers, service → backend, except for those that another has. */
  keep(source: string, backends: ReadonlyMap<string, string>): void;
  /** The service needs its backend no longer. */
  release(backend: string): void;
  /** No service of the source needs its backend any longer. */
  releaseAll(source: string): void;
  /** The source of the service that has it; undefined when none has. */
  sourceOf(backend: string): string | undefined;
  /** Whether some service has it. */
  has(backend: string): boolean;
}

interface Owner {
  readonly source: string;
  readonly service: string;
}

/** Nothing claimed yet. */
export function createBackendNames(): BackendNames {
  const owners = new Map<string, Owner>();

  function isFree(backend: string, { source, service }: Owner): boolean {
    const present = owners.get(backend);
    return present === undefined || (present.source === source && present.service === service);
  }

  return {
    claim(source, service, nameOf, remembered) {
      const owner = { source, service };
      let backend = remembered ?? backendName(nameOf, service);
      for (let attempt = 2; !isFree(backend, owner); attempt++) {
        backend = backendName(nameOf, service, `${source} ${attempt} `);
      }
      owners.set(backend, owner);
      return backend;
    },
    keep(source, backends) {
      for (const [service, backend] of backends) {
        if (!owners.has(backend)) owners.set(backend, { source, service });
      }
    },
    release: (backend) => void owners.delete(backend),
    releaseAll(source) {
      for (const [backend, owner] of owners) if (owner.source === source) owners.delete(backend);
    },
    sourceOf: (backend) => owners.get(backend)?.source,
    has: (backend) => owners.has(backend),
  };
}
