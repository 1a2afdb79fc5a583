import { backendName } from "./names.ts";

/**
 * Which service has which backend, over all sources: two services never share one, whatever their names and their sources' addresses look like.
 */
export interface BackendNames {
  /** The backend of a service: `remembered` from an earlier run if it is still free, else what `nameOf` calls it, made unique. */
  claim(owner: string, service: string, nameOf: (service: string) => string, remembered?: string): string;
  /** The service needs its backend no longer. */
  release(backend: string): void;
  /** Whether some service has it. */
  has(backend: string): boolean;
}

/** Nothing claimed yet. */
export function createBackendNames(): BackendNames {
  const owners = new Map<string, string>();

  function isFree(backend: string, owner: string): boolean {
    const present = owners.get(backend);
    return present === undefined || present === owner;
  }

  return {
    claim(source, service, nameOf, remembered) {
      const owner = JSON.stringify([source, service]);
      let backend = remembered ?? backendName(nameOf, service);
      for (let attempt = 2; !isFree(backend, owner); attempt++) {
        backend = backendName(nameOf, service, `${source} ${attempt} `);
      }
      owners.set(backend, owner);
      return backend;
    },
    release: (backend) => void owners.delete(backend),
    has: (backend) => owners.has(backend),
  };
}
