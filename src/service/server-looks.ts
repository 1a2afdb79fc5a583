import type { Runtime } from "../haproxy/runtime.ts";
import type { ServerState } from "../haproxy/server-states.ts";

/** Looks at the servers of a backend behind the changes that were asked for before. Rejects as `Runtime.serverStates`. */
export type LookAtServers = (backend: string) => Promise<readonly ServerState[]>;

/**
 * Makes looks that are shared: HAProxy prints the whole backend for one server that was changed, so one look of a backend is under way at a time, and those who ask meanwhile get the next one together. What a
 * caller has changed is in what it gets, since its look is sent after it has asked. A look ends by its own deadline, not with the call of one of those who wait for it.
 */
export function createServerLooks({ serverStates }: Pick<Runtime, "serverStates">): LookAtServers {
  const looks = new Map<string, Look>();

  const look = (backend: string): Promise<readonly ServerState[]> => {
    const present = looks.get(backend);
    if (present !== undefined) {
      present.next ??= present.done.then(() => look(backend));
      return present.next;
    }
    const states = serverStates(backend, { behindChanges: true });
    const done = states.then(noop, noop).then(() => {
      looks.delete(backend);
    });
    looks.set(backend, { done, next: undefined });
    return states;
  };
  return look;
}

interface Look {
  /** Resolves when it has ended, however. */
  readonly done: Promise<void>;
  /** The look that those get who ask while this one is under way. */
  next: Promise<readonly ServerState[]> | undefined;
}

function noop(): void {}
