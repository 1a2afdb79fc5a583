/**
 * The servers whose removal is under way, of all backends. One set for all sources: a source that is deleted and created again must not give a leaving server's name or
 * id to another.
 */
export interface Departures {
  /** The leaving servers of a backend: name → id. */
  of(backend: string): ReadonlyMap<string, number>;
  begin(backend: string, name: string, id: number): void;
  end(backend: string, name: string): void;
}

const NONE: ReadonlyMap<string, number> = new Map();

/** None leaving yet. */
export function createDepartures(): Departures {
  const leaving = new Map<string, Map<string, number>>();
  return {
    of: (backend) => leaving.get(backend) ?? NONE,
    begin(backend, name, id) {
      const servers = leaving.get(backend);
      if (servers === undefined) leaving.set(backend, new Map([[name, id]]));
      else servers.set(name, id);
    },
    end(backend, name) {
      const servers = leaving.get(backend);
      servers?.delete(name);
      if (servers?.size === 0) leaving.delete(backend);
    },
  };
}
