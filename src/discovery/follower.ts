import { createBackoff } from "../lib/backoff.ts";
import type { Clock } from "../lib/clock.ts";
import type { Departures } from "./departures.ts";
import type { NewBackends } from "./new-backends.ts";
import { type Desired, firstServers, type Plan, reconcile } from "./reconcile.ts";
import type { SlotPolicy } from "./slots.ts";
import type { ChangeResult, NewServer, ServerChange, Target, TargetServer } from "./target.ts";

/** What followers share. */
export interface FollowerContext {
  readonly target: Target;
  readonly departures: Departures;
  readonly newBackends: NewBackends;
  readonly clock: Clock;
  /** On whose behalf: `sources/{source}`. */
  readonly author: string;
  /** What is not handed to HAProxy when it aborts is not done. */
  readonly signal: AbortSignal;
  /** The `defaults` section of new backends; empty for none. */
  readonly defaults: string;
  /** How slots are made; undefined when there are to be none. */
  readonly slots: SlotPolicy | undefined;
  /** How long a server that is removed may take to end its connections, in milliseconds. */
  readonly drainMs: number;
  /** Called when HAProxy runs what an answer added or set, with the milliseconds since that answer. */
  readonly onApplied: (tookMs: number) => void;
}

/** Makes one backend what it should be, and keeps at it. */
export interface Follower {
  /** Goes for a new desired state at once, or as soon as the change that is under way is done; what was desired before is forgotten. */
  follow(desired: Desired): void;
  /** Compares again, since somebody else may have changed the backend. */
  recheck(): void;
  /** Sends nothing more. What was sent is not taken back. */
  stop(): void;
  /** Why the target does not take what is desired; undefined when it does. */
  readonly rejection: string | undefined;
  /** The backend is being created: the document may have it, HAProxy does not run it yet. */
  readonly isCreating: boolean;
  /** Nothing is under way except removals, and nothing is left to do. */
  readonly isSettled: boolean;
}

/** HAProxy refuses a change for a moment or for good: in either case it is not hurried. */
const RETRY = { firstMs: 1_000, maxMs: 30_000 };

/** What a step sent to the target. */
type Sent = Plan | "creation";

/** A follower of the named backend; `onChange` is called whenever `rejection` or `isSettled` may have changed. */
export function createFollower(backend: string, context: FollowerContext, onChange: () => void): Follower {
  const { target, departures } = context;
  let desired: Desired | undefined;
  let isStopped = false;
  /** Additions or settings are under way, or the backend's creation. */
  let isBusy = false;
  let isCreating = false;
  let rejection: string | undefined;
  /** When the oldest desired state came of which HAProxy may not run everything; by the monotonic clock. */
  let heardAt: number | undefined;
  /** Something was added or set since then. */
  let hasApplied = false;
  const backoff = createBackoff(RETRY);
  let cancelRetry = () => {};

  /** One step towards what is desired. `taken` is what the target has just taken: it must not be needed again. */
  function step(taken?: Sent): void {
    if (isStopped || isBusy || desired === undefined) return;
    const present = target.servers(backend);
    if (present === undefined) {
      // What is only kept has gone with its backend.
      if (desired.servers.size === 0 && desired.keep.size > 0) succeed();
      else if (taken === "creation") fail("the backend was created and does not show");
      else void create(desired);
      return;
    }
    const { options = [] } = desired;
    const plan = reconcile(desired, present, departures.of(backend), () => slotsFor(options));
    if (plan.changes.length + plan.removals.length === 0 && plan.growth === undefined) succeed();
    else if (taken !== undefined && isSamePlan(taken, plan)) fail("a change was taken and does not show");
    else take(plan, present);
  }

  function take(plan: Plan, present: readonly TargetServer[]): void {
    // Additions go first, and may take a reload: a server that replaces another is there before that one leaves.
    if (plan.changes.length > 0 || plan.growth !== undefined) void change(plan, present);
    else {
      // Removals take as long as connections last.
      applied();
      void remove(plan, present);
    }
    if (!isBusy) onChange();
  }

  async function create(goal: Desired): Promise<void> {
    isBusy = true;
    isCreating = true;
    hasApplied = true;
    const isRetry = rejection !== undefined;
    const refused = await context.newBackends
      .create(
        {
          name: backend,
          servers: firstServers(goal, slotsFor(goal.options ?? [])),
          ...(context.defaults !== "" && { defaults: context.defaults }),
        },
        isRetry,
      )
      .then(() => undefined, sentence);
    isBusy = false;
    isCreating = false;
    if (refused !== undefined) fail(refused);
    else step("creation");
  }

  async function change(plan: Plan, present: readonly TargetServer[]): Promise<void> {
    isBusy = true;
    hasApplied = true;
    const refusals = await Promise.all([
      plan.changes.length === 0 ? undefined : send(plan.changes),
      plan.growth === undefined ? undefined : grow(plan.growth),
    ]);
    isBusy = false;
    const refused = refusals.find((reason) => reason !== undefined);
    if (refused === undefined) {
      step(plan);
      return;
    }
    fail(refused);
    // What is gone leaves also when nothing can replace it.
    if (isStopped) return;
    if (plan.afterGrowth !== undefined) void send(plan.afterGrowth);
    if (plan.removals.length > 0) void remove(plan, present);
  }

  async function remove(plan: Plan, present: readonly TargetServer[]): Promise<void> {
    const leaving = new Set(plan.removals);
    for (const { name, id } of present) if (leaving.has(name)) departures.begin(backend, name, id);
    const refused = await send(
      plan.removals.map((name) => ({ kind: "remove", name, drainMs: context.drainMs })),
    );
    for (const name of leaving) departures.end(backend, name);
    if (refused !== undefined) fail(refused);
    else step(plan);
  }

  /** How this backend gets slots, where HAProxy cannot add servers to it or slots are wanted anyhow. */
  function slotsFor(options: readonly string[]): SlotPolicy | undefined {
    const { slots, defaults } = context;
    const hasSlots =
      slots !== undefined && (slots.always || !target.takesServers(backend, options, defaults));
    return hasSlots ? slots : undefined;
  }

  async function grow(servers: readonly NewServer[]): Promise<string | undefined> {
    return target.addServers(backend, servers, context.author).then(() => undefined, sentence);
  }

  /** Resolves with why a change was refused, if one was. */
  async function send(changes: readonly ServerChange[]): Promise<string | undefined> {
    try {
      return firstRefusal(await target.changeServers(backend, changes, context.author, context.signal));
    } catch (error) {
      return sentence(error);
    }
  }

  function succeed(): void {
    backoff.reset();
    rejection = undefined;
    cancelRetry();
    applied();
    onChange();
  }

  /** HAProxy has every server that is desired. What was not asked for by an answer is not told. */
  function applied(): void {
    if (heardAt !== undefined && hasApplied) context.onApplied(context.clock.monotonic() - heardAt);
    heardAt = undefined;
    hasApplied = false;
  }

  function fail(reason: string): void {
    if (isStopped) return;
    rejection = reason;
    cancelRetry();
    cancelRetry = context.clock.after(backoff.next(), () => step());
    onChange();
  }

  return {
    follow(next) {
      desired = next;
      heardAt ??= context.clock.monotonic();
      step();
    },
    recheck: () => step(),
    stop() {
      isStopped = true;
      cancelRetry();
    },
    get rejection() {
      return rejection;
    },
    get isCreating() {
      return isCreating;
    },
    get isSettled() {
      return !isBusy && rejection === undefined;
    },
  };
}

function isSamePlan(a: Sent, b: Plan): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function firstRefusal(results: readonly ChangeResult[]): string | undefined {
  for (const result of results) if (!result.ok) return result.error.message;
  return undefined;
}

function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
