import type { Backoff } from "../../lib/backoff.ts";
import type { Clock } from "../../lib/clock.ts";
import type { DomainError } from "../../lib/errors.ts";
import type { Pauses } from "../pause.ts";
import type { Answer, QueryMode } from "./client.ts";
import type { Refresh } from "./refresh.ts";
import { createTokenBucket } from "./token-bucket.ts";

/** One query that is asked again and again, each time as soon as its answer may have changed. */
export interface Followed<T> {
  /** Makes the query. Rejects with a `DomainError`. */
  ask(mode: QueryMode, signal: AbortSignal): Promise<Answer>;
  /** Reads an answer's body. Throws a `DomainError` when it is nonsense. */
  read(body: unknown): T;
  /** Whether two answers say the same. */
  isSame(a: T, b: T): boolean;
  /** How long Consul may let a query wait, in milliseconds. */
  readonly waitMs: number;
  /** How long to rest, at least, after an answer that did not have to wait, in milliseconds. */
  restMs(value: T, isNew: boolean): number;
  /** The index that an earlier run reached; an answer below it counts as gone back. 0n when there is none. */
  readonly resumeIndex: bigint;
  /** A good answer; `value` is the same object as before when nothing changed. */
  onAnswer(value: T, index: bigint): void;
  /** What came before `onAnswer` makes the answer doubtful. */
  onDoubt(reason: string): void;
  /** No good answer; it is asked again after a while. */
  onFailure(error: DomainError): void;
}

/** What all queries to one agent share. */
export interface FollowContext {
  readonly clock: Clock;
  /** The waits of one query after its failures. */
  readonly newBackoff: () => Backoff;
  /** Where queries wait after a failure. */
  readonly pauses: Pauses;
  /** Where queries wait that are asked too often; never cut short. */
  readonly damping: Pauses;
  /** Makes all queries be made again at once. */
  readonly refresh: Refresh;
}

/** What an answer said, without its body, which is not to be kept while the next is waited for. */
interface Said<T> extends Omit<Answer, "body"> {
  /** The same object as before when nothing changed. */
  readonly value: T;
  readonly digest: string;
}

async function askOnce<T>(
  query: Followed<T>,
  mode: QueryMode,
  last: Said<T> | undefined,
  signal: AbortSignal,
): Promise<Said<T>> {
  const { body, ...facts } = await query.ask(mode, signal);
  const { digest } = body;
  if (last?.digest === digest) return { ...facts, digest, value: last.value };
  const value = query.read(body.read());
  return {
    ...facts,
    digest,
    value: last !== undefined && query.isSame(last.value, value) ? last.value : value,
  };
}

/** A change costs one token; an answer that says nothing new, the mark of an index that churns, as much as ten. */
const BURST = 50;
const TOKENS_PER_SECOND = 50;
const COST_OF_CHANGE = 1;
const COST_OF_NOTHING = 10;

/** Follows a query until the signal aborts. Never rejects. */
export async function follow<T>(
  query: Followed<T>,
  context: FollowContext,
  signal: AbortSignal,
): Promise<void> {
  const bucket = createTokenBucket(context.clock, BURST, TOKENS_PER_SECOND);
  let last: Said<T> | undefined;
  let highest = query.resumeIndex;
  let mode: QueryMode = { kind: "now" };
  const backoff = context.newBackoff();
  let isFailing = false;
  while (!signal.aborted) {
    const asked = context.clock.monotonic();
    const refreshed = context.refresh.signal;
    const untilRefresh = AbortSignal.any([signal, refreshed]);
    let said: Said<T>;
    try {
      said = await askOnce(query, mode, last, untilRefresh);
    } catch (error) {
      if (signal.aborted) return;
      // The next answer is wanted at once: the index may not be the same registry's any more.
      mode = { kind: "now" };
      if (refreshed.aborted) continue;
      isFailing = true;
      query.onFailure(error as DomainError);
      await context.pauses.wait(backoff.next(), untilRefresh);
      continue;
    }
    if (signal.aborted) return;
    if (isFailing) context.pauses.cutShort();
    isFailing = false;
    backoff.reset();

    const { index } = said;
    const wentBack = index < highest;
    if (wentBack) query.onDoubt(`the index went back from ${highest} to ${index}`);
    if (!said.hasLeader) query.onDoubt("the cluster has no leader");
    if (said.isFiltered && last?.isFiltered === false) query.onDoubt("the token may see less than before");
    // After going back, the whole answer is asked for once more before waiting on the new index.
    mode = wentBack ? { kind: "now" } : { kind: "blocking", index, waitMs: query.waitMs };
    highest = index;

    const isNew = last?.value !== said.value;
    last = said;
    query.onAnswer(last.value, index);

    if (context.clock.monotonic() - asked >= query.waitMs) continue;
    const cost = isNew ? COST_OF_CHANGE : COST_OF_NOTHING;
    const delayMs = Math.max(query.restMs(last.value, isNew), bucket.take(cost));
    if (delayMs > 0) await context.damping.wait(delayMs, untilRefresh);
    if (refreshed.aborted) mode = { kind: "now" };
  }
}
