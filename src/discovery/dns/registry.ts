import { createBackoff } from "../../lib/backoff.ts";
import type { Clock } from "../../lib/clock.ts";
import type { DomainError } from "../../lib/errors.ts";
import { createPauses } from "../pause.ts";
import type { Registry, RegistryEvent } from "../registry.ts";
import { isSameAnswer } from "../same-answer.ts";
import { createLookup, type DnsAnswer, type Lookup } from "./lookup.ts";
import type { DnsName, DnsSettings } from "./settings.ts";

/** How many names are asked for at the same time. */
const ASKED_AT_ONCE = 16;

/** What a round found out about a name. */
type Outcome = DnsAnswer | { readonly kind: "failed"; readonly error: DomainError };

/** The names of a source, looked up again and again: DNS tells nobody of changes. Its answers carry no index, so it is always 0. */
export function createDnsRegistry(settings: DnsSettings, clock: Clock): Registry {
  const refreshes = new Set<() => void>();
  return {
    async watch(report, _resumeIndex, signal) {
      const lookup = createLookup(settings.servers);
      const pauses = createPauses(clock);
      const backoff = createBackoff(settings.retry);
      const teller = createTeller(settings.names, report);
      let isOutdated = false;
      const askAgain = () => {
        isOutdated = true;
        pauses.cutShort();
      };
      refreshes.add(askAgain);
      signal.addEventListener("abort", () => lookup.close(), { once: true });
      while (!signal.aborted) {
        isOutdated = false;
        const outcomes = await askAll(lookup, settings.names);
        if (signal.aborted) break;
        // Somebody wants answers to questions that are asked from now on.
        if (isOutdated) continue;
        const isGood = teller(outcomes);
        if (isGood) backoff.reset();
        await pauses.wait(isGood ? settings.intervalMs : backoff.next(), signal);
      }
      refreshes.delete(askAgain);
    },
    refresh() {
      for (const askAgain of refreshes) askAgain();
    },
    async confirm(service, signal) {
      const name = settings.names.find((candidate) => candidate.service === service);
      if (name === undefined) return { instances: [], doubt: undefined };
      const lookup = createLookup(settings.servers);
      const close = () => lookup.close();
      signal.addEventListener("abort", close, { once: true });
      try {
        const answer = await lookup.instances(name);
        return { instances: answer.kind === "found" ? answer.instances : [], doubt: undefined };
      } finally {
        signal.removeEventListener("abort", close);
        lookup.close();
      }
    },
  };
}

/** All names, several at a time; in their order. */
async function askAll(lookup: Lookup, names: readonly DnsName[]): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  let next = 0;
  async function work(): Promise<void> {
    for (let index = next++; index < names.length; index = next++) {
      outcomes[index] = await lookup
        .instances(names[index] as DnsName)
        .catch((error: DomainError): Outcome => ({ kind: "failed", error }));
    }
  }
  await Promise.all(Array.from({ length: ASKED_AT_ONCE }, work));
  return outcomes;
}

/** Tells what a round found out; answers whether all of it is good. A name that cannot be asked for is what it was before. */
function createTeller(names: readonly DnsName[], report: (event: RegistryEvent) => void) {
  const known = new Map<string, DnsAnswer>();
  return (outcomes: readonly Outcome[]): boolean => {
    const failures = outcomes.filter((outcome) => outcome.kind === "failed");
    const [failure] = failures;
    if (failure !== undefined && failures.length === outcomes.length) {
      report({ kind: "failure", service: undefined, error: failure.error });
      return false;
    }
    const ignored = new Map<string, string>();
    const services = new Set<string>();
    for (const [index, { service, name }] of names.entries()) {
      const outcome = outcomes[index] as Outcome;
      if (outcome.kind !== "failed") known.set(service, latest(known.get(service), outcome));
      if (known.get(service)?.kind === "no-name") ignored.set(service, `there is no name ${name}`);
      else services.add(service);
    }
    report({ kind: "services", services, ignored, index: 0n });
    for (const [index, { service }] of names.entries()) {
      const outcome = outcomes[index] as Outcome;
      const said = known.get(service);
      if (outcome.kind === "failed") report({ kind: "failure", service, error: outcome.error });
      else if (said?.kind === "found") {
        const { instances, leftOut } = said;
        report({ kind: "instances", service, instances, leftOut, index: 0n });
      }
    }
    return failure === undefined;
  };
}

/** The former answer where the new one says the same. */
function latest(before: DnsAnswer | undefined, now: DnsAnswer): DnsAnswer {
  return before?.kind === "found" && now.kind === "found" && isSameAnswer(before, now) ? before : now;
}
