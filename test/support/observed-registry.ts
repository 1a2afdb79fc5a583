import { type Logger, pino } from "pino";
import type { Instance, Registry, RegistryEvent } from "../../src/discovery/registry.ts";
import { waitFor } from "./wait.ts";

/** Logs nothing. */
export const silent: Logger = pino({ level: "silent" });

/** A watch and what it has reported so far. */
export interface ObservedRegistry {
  readonly events: readonly RegistryEvent[];
  /** The services of the last list. */
  readonly services: ReadonlySet<string> | undefined;
  /** What was said last of a service. */
  instances(service: string): readonly Instance[] | undefined;
  /** Waits until the last answer about a service has exactly these ids. */
  untilIds(service: string, ids: readonly string[]): Promise<void>;
  /** Waits for an event of this kind, and returns the first from `since` on. */
  until<K extends RegistryEvent["kind"]>(
    kind: K,
    since?: number,
  ): Promise<Extract<RegistryEvent, { kind: K }>>;
  /** Ends the watch and waits for its end. */
  stop(): Promise<void>;
}

/** Watches a registry. */
export function observe(registry: Registry, resumeIndex = 0n): ObservedRegistry {
  const events: RegistryEvent[] = [];
  const abort = new AbortController();
  const ended = registry.watch((event) => events.push(event), resumeIndex, abort.signal);
  const find = <K extends RegistryEvent["kind"]>(kind: K, since: number) =>
    events.slice(since).find((event) => event.kind === kind) as
      | Extract<RegistryEvent, { kind: K }>
      | undefined;
  const instances = (service: string) => {
    const answers = events.filter((event) => event.kind === "instances" && event.service === service);
    return (answers.at(-1) as Extract<RegistryEvent, { kind: "instances" }> | undefined)?.instances;
  };
  return {
    events,
    get services() {
      const lists = events.filter((event) => event.kind === "services");
      return lists.at(-1)?.services;
    },
    instances,
    async untilIds(service, ids) {
      const wanted = [...ids].sort().join(" ");
      await waitFor(`the instances of ${service} to be "${wanted}"`, () => {
        const found = instances(service)?.map(({ id }) => id);
        return found !== undefined && found.sort().join(" ") === wanted;
      });
    },
    until: (kind, since = 0) => waitFor(`an event "${kind}"`, () => find(kind, since)),
    async stop() {
      abort.abort();
      await ended;
    },
  };
}
