import type { DomainError } from "../../lib/errors.ts";
import { isSameAnswer, type ServiceAnswer } from "../same-answer.ts";
import { readInstances } from "./answers.ts";
import type { Body } from "./body.ts";
import { type Checks, changedChecks, readChecks } from "./checks.ts";
import { follow } from "./follow.ts";
import { createCatalogMarks, type Mark, markOf } from "./marks.ts";
import type { ServiceWatches, WatchParts } from "./service-watches.ts";
import { createTokenBucket } from "./token-bucket.ts";

/** How many services are asked for at the same time. */
const ASKED_AT_ONCE = 16;
/** This many failures in a row are the agent's, and the rest need not be tried. */
const FAILURES_IN_A_ROW = 3;
/** The answer about all checks is large: it rests a millisecond for so many checks. */
const CHECKS_PER_MS = 100;
/** Rounds through all nodes or services: some at once, then one every two seconds. */
const ROUNDS_AT_ONCE = 5;
const ROUNDS_PER_SECOND = 0.5;

/** What was said of a service. */
interface Known extends ServiceAnswer {
  /** Of the body that said it. */
  readonly digest: string;
  readonly mark: Mark;
}

/**
 * Many services over few connections: one blocking query for all checks, beside the one for the list of services that somebody else makes. The checks that change tell which services to ask
 * for. The list tells only that some instance has come, gone or changed, so then the nodes are asked which services have others than were answered; where there are more nodes than services, or they do not
 * say, all services are asked for, those that a check named first.
 */
export function createSharedWatch(parts: WatchParts, signal: AbortSignal): ServiceWatches {
  const { client, context, selection, report } = parts;
  const answers = new Map<string, Known>();
  const catalog = createCatalogMarks(client);
  /** Services to ask for, in this order; a set, so that nobody is asked for twice. */
  const urgent = new Set<string>();
  const due = new Set<string>();
  /** Services whose query failed; they become urgent after a while. */
  const failed = new Set<string>();
  const asking = new Map<string, Promise<void>>();
  const rounds = createTokenBucket(context.clock, ROUNDS_AT_ONCE, ROUNDS_PER_SECOND);
  const backoff = context.newBackoff();
  const abort = new AbortController();
  const ended = AbortSignal.any([signal, abort.signal]);
  let services: ReadonlySet<string> = new Set();
  let listIndex: bigint | undefined;
  let isRoundComing = false;
  let isRetryComing = false;
  let failures = 0;
  let looking: Promise<void> = Promise.resolve();
  const running = followChecks();

  async function followChecks(): Promise<void> {
    let before: Checks | undefined;
    await follow<Checks>(
      {
        ask: client.checks,
        read: readChecks,
        isSame: (a, b) => changedChecks(a, b).length === 0,
        waitMs: parts.serviceWaitMs,
        restMs: (checks) => checks.size / CHECKS_PER_MS,
        resumeIndex: 0n,
        onAnswer(checks) {
          if (before !== undefined && checks !== before) hurry(changedChecks(before, checks));
          before = checks;
        },
        onDoubt: (reason) => report({ kind: "doubt", service: undefined, reason }),
        onFailure: (error) => report({ kind: "failure", service: undefined, error }),
      },
      context,
      ended,
    );
  }

  function hurry(changed: ReturnType<typeof changedChecks>): void {
    const nodes = new Set(changed.filter(({ service }) => service === "").map(({ node }) => node));
    for (const { service } of changed) if (services.has(service)) urgent.add(service);
    if (nodes.size > 0) {
      for (const [service, { instances, leftOut }] of answers) {
        if ([...instances, ...leftOut].some(({ node }) => nodes.has(node))) urgent.add(service);
      }
    }
    pump();
  }

  function round(): void {
    if (isRoundComing) return;
    isRoundComing = true;
    // One after another: what one has seen the next compares with.
    looking = looking.then(async () => {
      await context.damping.wait(rounds.take(1), ended);
      isRoundComing = false;
      if (ended.aborted) return;
      const marks = await catalog.look(services.size, ended).catch(() => undefined);
      for (const service of services) {
        const known = answers.get(service);
        if (marks === undefined || (marks.get(service) ?? "") !== known?.mark) due.add(service);
      }
      pump();
    });
  }

  function next(): string | undefined {
    for (const queue of [urgent, due]) {
      for (const service of queue) {
        if (asking.has(service)) continue;
        urgent.delete(service);
        due.delete(service);
        return service;
      }
    }
    return undefined;
  }

  function pump(): void {
    while (!ended.aborted && asking.size < ASKED_AT_ONCE) {
      const service = next();
      if (service === undefined) return;
      const asked = ask(service).finally(() => {
        asking.delete(service);
        pump();
      });
      asking.set(service, asked);
    }
  }

  async function ask(service: string): Promise<void> {
    try {
      const answer = await client.instances(service, { kind: "now" }, ended);
      if (ended.aborted || !services.has(service)) return;
      const said = readUnlessKnown(service, answer.body);
      if (!answer.hasLeader) report({ kind: "doubt", service, reason: "the cluster has no leader" });
      failures = 0;
      backoff.reset();
      answers.set(service, said);
      const { instances, leftOut } = said;
      report({ kind: "instances", service, instances, leftOut, index: answer.index });
    } catch (error) {
      if (!ended.aborted) fail(service, error as DomainError);
    }
  }

  function readUnlessKnown(service: string, { digest, read }: Body): Known {
    const last = answers.get(service);
    if (last?.digest === digest) return last;
    const body = read();
    const value = readInstances(body, service, selection);
    const said = last !== undefined && isSameAnswer(last, value) ? last : value;
    return { ...said, digest, mark: markOf(body, service) };
  }

  function fail(service: string, error: DomainError): void {
    report({ kind: "failure", service, error });
    failed.add(service);
    if (++failures >= FAILURES_IN_A_ROW) {
      for (const queue of [urgent, due]) {
        for (const waiting of queue) failed.add(waiting);
        queue.clear();
      }
    }
    if (isRetryComing) return;
    isRetryComing = true;
    void context.pauses.wait(backoff.next(), ended).then(() => {
      isRetryComing = false;
      for (const again of failed) if (services.has(again)) urgent.add(again);
      failed.clear();
      pump();
    });
  }

  return {
    watch(listed, index) {
      services = listed;
      for (const known of [...answers.keys()]) if (!listed.has(known)) answers.delete(known);
      for (const service of listed) if (!answers.has(service)) urgent.add(service);
      for (const queue of [urgent, due, failed])
        for (const service of queue) if (!listed.has(service)) queue.delete(service);
      if (listIndex !== undefined && index !== listIndex) round();
      listIndex = index;
      pump();
    },
    restart() {
      for (const service of services) urgent.add(service);
      pump();
    },
    async end() {
      abort.abort();
      await Promise.all([running, looking, ...asking.values()]);
    },
  };
}
