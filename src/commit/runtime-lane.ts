import { setImmediate } from "node:timers/promises";
import { backendSection, findServer } from "../config/server.ts";
import type { ChangeResult, ServerChange } from "../discovery/target.ts";
import type { ServerChange as Command, ServerOutcome } from "../haproxy/server-change.ts";
import type { ServerState } from "../haproxy/server-states.ts";
import { DomainError } from "../lib/errors.ts";
import { alignBackend, type Scope } from "./alignment.ts";
import { asDomainError } from "./as-domain-error.ts";
import { mergeTouched, type RuntimeCommand, type TouchedServers, touchedServers } from "./classify.ts";
import type { Edit } from "./edit.ts";
import { adminStateOf } from "./given-back.ts";
import { makeServerChanges } from "./make-server-changes.ts";
import type { CommitParts } from "./parts.ts";
import type { ReloadLane } from "./reload-lane.ts";
import { type PublishEphemeral, serverEvent } from "./server-event.ts";

/** What the lane is given. */
export interface RuntimeLaneOptions
  extends Pick<CommitParts, "haproxy" | "working" | "writer" | "clock" | "logger"> {
  readonly reloads: ReloadLane;
  /** Hands events to the streams that are open, before it returns. */
  readonly publishEphemeral: PublishEphemeral;
  /** See `CommitOptions.drainMsOf`. */
  readonly drainMsOf: (backend: string) => number | undefined;
}

/** How a worker came to follow. */
export type Followed =
  | { readonly kind: "commands" }
  /** It did not take the commands, so the file was reloaded. */
  | { readonly kind: "reload"; readonly reason: string; readonly reload: number }
  /** It took neither. */
  | { readonly kind: "failed"; readonly error: DomainError };

/**
 * What is to be done when a worker that runs does not answer: compare it later (discovery, whose truth is elsewhere), or reload now, because somebody waits for the answer that HAProxy runs it.
 */
export type Unanswered = "later" | "reload";

/** A worker that does not answer is compared again after this long. */
const COMPARE_AGAIN_MS = 1_000;

/** Changes that are made in one turn of the event loop: some milliseconds' worth. */
const BATCH = 100;

/** How the worker is made to follow. */
export interface FollowOptions {
  /** Default: `later`. */
  readonly unanswered?: Unanswered;
  /** Called when the worker has taken all that was to be said of one server; others may take longer. */
  readonly told: (backend: string, server: string) => void;
}

/** How a backend is compared. */
interface AlignOptions extends Required<FollowOptions> {
  readonly scope: Scope;
  readonly touched: TouchedServers;
  /** Servers that the worker is not to have had before: one that is there all the same, in maintenance, is being removed, with the words and connections of its former life. */
  readonly added: readonly string[];
}

const BY_COMMANDS: Followed = { kind: "commands" };

/** Takes changes of servers that the running worker can follow by commands: the command first, the file within 100 ms. Waits for no check, no reload and no disk. */
export class RuntimeLane {
  readonly #options: RuntimeLaneOptions;
  /** Whether the worker may lack what the document has, or have more: one that ran before we did, or that somebody else reloaded. */
  #doubted = true;
  /** Backends that a doubted worker has been compared with. */
  #compared = new Set<string>();
  /** Servers of which it is not known whether a worker that did not answer took what it was told. */
  #unanswered: TouchedServers = new Map();
  #cancelCompare: (() => void) | undefined;
  /** The last comparison of a worker that was started without us. */
  #comparing: Promise<unknown> = Promise.resolve();

  constructor(options: RuntimeLaneOptions) {
    this.#options = options;
  }

  /** Says whether the worker that now runs was started from our document as it is. */
  workerChanged(started: "from-document" | "unknown"): void {
    this.#doubted = started === "unknown";
    this.#compared = new Set();
  }

  /** See `Target.changeServers`. */
  async changeServers(
    backend: string,
    changes: readonly ServerChange[],
    author: string,
    signal?: AbortSignal,
  ): Promise<readonly ChangeResult[]> {
    const batches: Promise<readonly ChangeResult[]>[] = [];
    // A list without changes is a batch too: it brings a worker in step that is not known.
    for (let from = 0; from === 0 || from < changes.length; from += BATCH) {
      // HAProxy takes one batch while the next is made, and whoever else waits gets a turn.
      if (from > 0) await setImmediate();
      const batch = changes.slice(from, from + BATCH);
      batches.push(
        signal?.aborted === true
          ? Promise.resolve(batch.map(() => ({ ok: false, error: cancelled() })))
          : this.#changeBatch(backend, batch, author),
      );
    }
    // Once, when all is made: what the file and the history cost would come between the commands otherwise.
    this.#options.writer.touch();
    return (await Promise.all(batches)).flat();
  }

  async #changeBatch(
    backend: string,
    changes: readonly ServerChange[],
    author: string,
  ): Promise<readonly ChangeResult[]> {
    const { working, clock, publishEphemeral } = this.#options;
    const { made, results } = makeServerChanges(working, backend, changes, author);
    if (made.length > 0) {
      const now = clock.now();
      publishEphemeral(() => made.map(({ facts }) => serverEvent(facts, true, now, { author })));
    }
    const editsOf = new Map<string, Edit[]>();
    for (const { edit, facts } of made) {
      const edits = editsOf.get(facts.server.name);
      if (edits === undefined) editsOf.set(facts.server.name, [edit]);
      else edits.push(edit);
    }
    const followed = await this.follow(
      new Map([[backend, new Set(made.map(({ facts }) => facts.server.name))]]),
      made.map(({ command }) => command),
      { told: (of, name) => working.toldOf(editsOf.get(name) ?? [], of, name) },
    ).finally(() => {
      for (const { edit } of made) working.told(edit);
    });
    if (followed.kind === "failed")
      for (const { index } of made) results[index] = { ok: false, error: followed.error };
    return results;
  }

  /**
   * Makes the worker follow edits that were made on the document: by these commands, and where it turns out to differ from what was thought, by comparing and sending what is missing. When HAProxy does not
   * take that either, a reload of the file does.
   */
  async follow(
    touched: TouchedServers,
    commands: readonly RuntimeCommand[],
    { unanswered = "later", told }: FollowOptions,
  ): Promise<Followed> {
    const { haproxy } = this.#options;
    if (haproxy.state.kind !== "running") return BY_COMMANDS;
    if (this.#doubted) await this.#whenCompared();
    const doubted = this.#doubted
      ? [...touched.keys()].filter((backend) => !this.#compared.has(backend))
      : [];
    const certain = commands.filter(
      (command) => command.kind === "maxconn" || !doubted.includes(command.backend),
    );
    const failed = new Set(doubted);
    for (const command of await this.#refusedOf(certain, told)) {
      if (command.kind === "maxconn")
        return this.#reload(
          `HAProxy does not take maxconn ${command.maxconn} for ${command.frontend}`,
          touched,
        );
      failed.add(command.backend);
    }
    for (const backend of failed) {
      const names = touched.get(backend) ?? new Set();
      const followed = await this.#align(backend, {
        scope: { names, membership: doubted.includes(backend) },
        ...{ touched, unanswered, told },
        added: commands.flatMap((command) =>
          command.kind === "add" && command.backend === backend ? command.server : [],
        ),
      });
      if (followed.kind !== "commands") return followed;
    }
    return BY_COMMANDS;
  }

  /**
   * Brings a worker in step with edits that its file did not have, and after a start that was not ours with the membership of all backends. Waits for no reload: answers why HAProxy does not take it,
   * so that the caller can see to one.
   */
  catchUp(
    since: readonly Edit[],
    membership = false,
  ): Promise<{ readonly reason: string; readonly untold: TouchedServers } | undefined> {
    const caughtUp = this.#catchUp(since, membership);
    if (membership) this.#comparing = caughtUp;
    return caughtUp;
  }

  async #catchUp(
    since: readonly Edit[],
    membership: boolean,
  ): Promise<{ readonly reason: string; readonly untold: TouchedServers } | undefined> {
    const { haproxy, working, drainMsOf } = this.#options;
    const touched = touchedServers(since.flatMap((edit) => edit.servers));
    if (haproxy.state.kind !== "running" || (touched.size === 0 && !membership)) return undefined;
    try {
      const states = await haproxy.runtime.serverStates();
      const byBackend = Map.groupBy(states, ({ backend }) => backend);
      const backends = new Set([...touched.keys(), ...(membership ? byBackend.keys() : [])]);
      const commands = [...backends].flatMap((backend) => {
        const scope = { names: touched.get(backend) ?? new Set<string>(), membership };
        return alignBackend(
          working.current,
          backend,
          byBackend.get(backend) ?? [],
          scope,
          drainMsOf(backend),
        );
      });
      // Who hands over between workers does not wait for connections to end, and nobody waits for a comparison of all.
      const removals = membership ? [] : commands.filter(({ kind }) => kind === "delete");
      if (removals.length > 0) void this.#remove(removals, touched);
      const awaited = commands.filter((command) => !removals.includes(command));
      const outcomes = awaited.length === 0 ? [] : await this.#apply(awaited);
      const failed = outcomes.find((outcome, index) => !isDone(awaited[index]!, outcome));
      if (failed === undefined || failed.ok) {
        if (membership) this.#doubted = false;
        return undefined;
      }
      return { reason: failed.error.message, untold: touched };
    } catch (error) {
      this.#doubted = true;
      return { reason: asDomainError(error).message, untold: touched };
    }
  }

  /** Removes servers without anybody waiting; where HAProxy does not take it a reload does. */
  async #remove(removals: readonly Command[], untold: TouchedServers): Promise<void> {
    const outcomes = await this.#apply(removals).catch(() => {
      this.#doubted = true;
      return [];
    });
    const failed = outcomes.find((outcome, index) => !isDone(removals[index]!, outcome));
    if (failed !== undefined && !failed.ok && failed.error.reason !== "CANCELLED")
      await this.#reload(failed.error.message, untold);
  }

  /** Sends commands about servers. A removal that waits for connections ends when the server is to be there again, be it by an edit that a reload brings. */
  #apply(
    commands: readonly Command[],
    onOutcome?: (index: number, outcome: ServerOutcome) => void,
  ): Promise<readonly ServerOutcome[]> {
    const { haproxy, working } = this.#options;
    return haproxy.runtime.applyServers(commands, {
      ...(onOutcome && { onOutcome }),
      isWanted: ({ backend, server }) => {
        const section = backendSection(working.current, backend);
        return section === undefined || findServer(section, server) === undefined;
      },
    });
  }

  /** Sends commands, servers' pipelined; answers those that were not taken. */
  async #refusedOf(
    commands: readonly RuntimeCommand[],
    told: FollowOptions["told"],
  ): Promise<RuntimeCommand[]> {
    const { runtime } = this.#options.haproxy;
    const servers = commands.filter((command) => command.kind !== "maxconn");
    const outcomes = servers.length === 0 ? [] : await this.#apply(servers, teller(servers, told));
    const refused: RuntimeCommand[] = servers.filter((command, index) => !isDone(command, outcomes[index]!));
    for (const command of commands) {
      if (command.kind !== "maxconn") continue;
      const words = ["set", "maxconn", "frontend", command.frontend, String(command.maxconn)];
      const answer = await runtime.execute(words).catch(asDomainError);
      if (typeof answer !== "string" || answer.trim() !== "") refused.push(command);
    }
    return refused;
  }

  /** Compares a backend's servers in the worker with the document and sends what differs. A worker that does not answer starts from the file and is compared when it runs, so that counts as done. */
  async #align(
    backend: string,
    { scope, touched, unanswered, added, told }: AlignOptions,
  ): Promise<Followed> {
    const { haproxy, working, drainMsOf } = this.#options;
    if (haproxy.state.kind !== "running") return BY_COMMANDS;
    let reason: string;
    try {
      const states = await haproxy.runtime.serverStates(backend);
      const returning = states.find(
        (state) =>
          adminStateOf(state) === "maint" && added.includes(state.server) && !this.#isDisabled(state),
      );
      if (returning !== undefined)
        return this.#reload(
          `server ${backend}/${returning.server} is there again before its connections have ended`,
          touched,
        );
      const commands = alignBackend(working.current, backend, states, scope, drainMsOf(backend));
      const different = new Set(commands.map(({ server }) => server));
      for (const name of scope.names) if (!different.has(name)) told(backend, name);
      const outcomes = commands.length === 0 ? [] : await this.#apply(commands, teller(commands, told));
      const failed = outcomes.find((outcome, index) => !isDone(commands[index]!, outcome));
      if (failed === undefined || failed.ok) {
        if (scope.membership) this.#compared.add(backend);
        return BY_COMMANDS;
      }
      if (failed.error.reason === "HAPROXY_UNAVAILABLE" && unanswered === "later")
        return this.#compareLater(touched);
      reason = failed.error.message;
    } catch (error) {
      const domain = asDomainError(error);
      if (domain.reason === "HAPROXY_UNAVAILABLE" && unanswered === "later")
        return this.#compareLater(touched);
      reason = domain.message;
    }
    return this.#reload(reason, touched);
  }

  /** Whether the document wants a server in maintenance. */
  #isDisabled({ backend, server }: ServerState): boolean {
    const section = backendSection(this.#options.working.current, backend);
    return section !== undefined && findServer(section, server)?.disabled === true;
  }

  /** The worker runs but does not answer, so nobody knows what it took: it is compared until it answers. */
  #compareLater(touched: TouchedServers): Followed {
    this.#doubted = true;
    this.#compared = new Set();
    this.#unanswered = mergeTouched([this.#unanswered, touched]);
    this.#cancelCompare ??= this.#options.clock.after(COMPARE_AGAIN_MS, () => void this.#compareAgain());
    return BY_COMMANDS;
  }

  async #compareAgain(): Promise<void> {
    this.#cancelCompare = undefined;
    const touched = this.#unanswered;
    this.#unanswered = new Map();
    for (const [backend, names] of touched) {
      await this.#align(backend, {
        scope: { names, membership: true },
        touched: new Map([[backend, names]]),
        ...{ unanswered: "later", added: [], told: () => {} },
      });
    }
  }

  /** Lets a comparison that is under way end first, so that nothing is sent twice; for a while only, since it may wait for connections to end. */
  #whenCompared(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#options.clock.after(COMPARE_AGAIN_MS, resolve);
    void this.#comparing.then(() => resolve());
    return promise.finally(cancel);
  }

  /** Stops comparing. */
  stop(): void {
    this.#cancelCompare?.();
  }

  async #reload(reason: string, untold: TouchedServers): Promise<Followed> {
    const { reloads, logger } = this.#options;
    logger.info({ reason }, "HAProxy does not take a change at runtime; it is reloaded");
    try {
      return { kind: "reload", reason, ...(await reloads.submit(undefined, reason, untold)) };
    } catch (error) {
      return { kind: "failed", error: asDomainError(error) };
    }
  }
}

/** Calls `told` once the last command about a server was taken; never for one of which a command was refused. */
function teller(commands: readonly Command[], told: FollowOptions["told"]) {
  const left = new Map<string, number>();
  const keyOf = ({ backend, server }: Command) => `${backend}/${server}`;
  for (const command of commands) left.set(keyOf(command), (left.get(keyOf(command)) ?? 0) + 1);
  return (index: number, outcome: ServerOutcome) => {
    const command = commands[index]!;
    if (!isDone(command, outcome)) return;
    const rest = left.get(keyOf(command))! - 1;
    left.set(keyOf(command), rest);
    if (rest === 0) told(command.backend, command.server);
  };
}

function cancelled(): DomainError {
  return new DomainError("CANCELLED", "whoever wanted the change no longer does");
}

function isDone(command: RuntimeCommand, outcome: ServerOutcome): boolean {
  return outcome.ok || (command.kind === "delete" && outcome.error.reason === "RESOURCE_NOT_FOUND");
}
