import type { Logger } from "pino";
import type { Event } from "../../gen/haplane/v1/events_pb.js";
import { defaultServerWords } from "../config/defaults.ts";
import { formatName } from "../config/name.ts";
import { backendSection, type ConfiguredServer, findServer } from "../config/server.ts";
import { editServer, serverWords } from "../config/server-edits.ts";
import type { ChangeResult, ServerChange } from "../discovery/target.ts";
import type { Haproxy } from "../haproxy/haproxy.ts";
import type { ServerChange as Command, ServerOutcome } from "../haproxy/server-change.ts";
import type { Clock } from "../lib/clock.ts";
import { DomainError } from "../lib/errors.ts";
import type { Document } from "../text/document.ts";
import { addition, alignBackend, removal, type Scope } from "./alignment.ts";
import type { Edit } from "./edit.ts";
import type { FileWriter } from "./file-writer.ts";
import type { ReloadLane } from "./reload-lane.ts";
import { eventNow, type ServerEventFacts, serverEvent } from "./server-event.ts";
import type { WorkingDocument } from "./working-document.ts";

/** What the lane is given. */
export interface RuntimeLaneOptions {
  readonly haproxy: Haproxy;
  readonly working: WorkingDocument;
  readonly writer: FileWriter;
  readonly reloads: ReloadLane;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Hands events to the streams that are open, before it returns. */
  readonly publishEphemeral: (events: readonly Event[]) => void;
}

/** An edit of the runtime lane: one server of one backend. */
interface ServerEdit extends Edit {
  readonly backend: string;
  readonly server: string;
  readonly facts: ServerEventFacts;
}

/** Takes changes of servers that the running worker can follow by commands: the command first, the file within 100 ms. Waits for no check, no reload and no disk. */
export class RuntimeLane {
  readonly #options: RuntimeLaneOptions;
  /** Whether the worker may lack what the document has, or have more: one that ran before we did, or that somebody else reloaded. */
  #doubted = true;
  /** Backends that a doubted worker has been compared with. */
  #compared = new Set<string>();

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
  ): Promise<readonly ChangeResult[]> {
    const { working, writer, clock, publishEphemeral } = this.#options;
    const results: ChangeResult[] = [];
    const made: { readonly index: number; readonly edit: ServerEdit; readonly command: Command }[] = [];
    for (const [index, change] of changes.entries()) {
      try {
        const planned = plan(working.current, backend, change, author);
        working.applyLive(planned.edit);
        made.push({ index, ...planned });
        results[index] = { ok: true };
      } catch (error) {
        results[index] = { ok: false, error: asDomainError(error) };
      }
    }
    if (made.length > 0) {
      const now = clock.now();
      publishEphemeral(made.map(({ edit }) => eventNow(serverEvent(edit.facts, true), now, { author })));
      writer.touch();
    }
    const names = new Set(made.map(({ edit }) => edit.server));
    const membership = this.#doubted && !this.#compared.has(backend);
    const failure = membership
      ? await this.#align(backend, { names, membership })
      : await this.#send(
          made.map(({ command }) => command),
          backend,
          { names, membership },
        );
    if (failure !== undefined) for (const { index } of made) results[index] = { ok: false, error: failure };
    return results;
  }

  /** Brings a new worker in step with edits that its file did not have. */
  async catchUp(since: readonly Edit[]): Promise<void> {
    const touched = new Map<string, Set<string>>();
    for (const edit of since) {
      if (!isServerEdit(edit)) continue;
      const names = touched.get(edit.backend) ?? new Set();
      touched.set(edit.backend, names.add(edit.server));
    }
    for (const [backend, names] of touched) await this.#align(backend, { names, membership: false });
  }

  /** Sends commands; where the worker turns out to differ from what was thought, compares and sends what is missing. Answers why it could not be done. */
  async #send(commands: readonly Command[], backend: string, scope: Scope): Promise<DomainError | undefined> {
    if (commands.length === 0 || this.#options.haproxy.state.kind !== "running") return undefined;
    const outcomes = await this.#options.haproxy.runtime.applyServers(commands);
    const failed = commands.filter((command, index) => !isDone(command, outcomes[index]!));
    if (failed.length === 0) return undefined;
    return this.#align(backend, scope);
  }

  /**
   * Compares a backend's servers in the worker with the document and sends what differs. When HAProxy does not take it, a reload of the file does. A worker that
   * does not answer starts from the file and is compared when it runs, so that counts as done.
   */
  async #align(backend: string, scope: Scope): Promise<DomainError | undefined> {
    const { haproxy, working, reloads, logger } = this.#options;
    if (haproxy.state.kind !== "running") return undefined;
    let reason: string;
    try {
      const states = await haproxy.runtime.serverStates(backend);
      const commands = alignBackend(working.current, backend, states, scope);
      const outcomes = commands.length === 0 ? [] : await haproxy.runtime.applyServers(commands);
      const failed = outcomes.find((outcome, index) => !isDone(commands[index]!, outcome));
      if (failed === undefined || failed.ok) {
        if (scope.membership) this.#compared.add(backend);
        return undefined;
      }
      if (failed.error.reason === "HAPROXY_UNAVAILABLE") return undefined;
      reason = failed.error.message;
    } catch (error) {
      const domain = asDomainError(error);
      if (domain.reason === "HAPROXY_UNAVAILABLE") return undefined;
      reason = domain.message;
    }
    if (reloads.stage === "reloading") {
      await reloads.idle();
      return undefined;
    }
    logger.info({ backend, reason }, "HAProxy does not take a change at runtime; it is reloaded");
    return reloads.submit(undefined, reason).then(
      () => undefined,
      (error) => asDomainError(error),
    );
  }
}

/** What a change means for the document and for the worker. Throws what the edit throws. */
function plan(
  document: Document,
  backend: string,
  change: ServerChange,
  author: string,
): { edit: ServerEdit; command: Command } {
  const section = backendSection(document, backend);
  const resource = formatName("backends", backend, "servers", change.name);
  const present = section === undefined ? undefined : findServer(section, change.name);
  const edit = (facts: ServerEventFacts, verb: string): ServerEdit => ({
    backend,
    server: change.name,
    facts,
    apply: (on) => editServer(on, backend, change),
    resources: [resource],
    author,
    message: `${verb} ${resource}`,
    events: [serverEvent(facts, false)],
  });
  switch (change.kind) {
    case "add": {
      const server = { ...change, disabled: false, words: serverWords(change) } satisfies ConfiguredServer;
      const inherited = section === undefined ? [] : defaultServerWords(document, section);
      return {
        edit: edit({ type: "added", backend, server }, "adds"),
        command: addition(backend, server, inherited),
      };
    }
    case "remove":
      return {
        edit: edit({ type: "removed", backend, server: present ?? unknown(change.name) }, "removes"),
        command: removal(backend, change.name),
      };
    case "set-address": {
      const { address, port } = change;
      const server = { ...(present ?? unknown(change.name)), address, port };
      return {
        edit: edit({ type: "updated", backend, server }, "moves"),
        command: { kind: "set", backend, server: change.name, address, port },
      };
    }
    case "set-weight": {
      const { weight } = change;
      const server = { ...(present ?? unknown(change.name)), weight };
      return {
        edit: edit({ type: "updated", backend, server }, "weighs"),
        command: { kind: "set", backend, server: change.name, weight },
      };
    }
  }
}

/** For a server that is not there; the edit then fails and says so. */
function unknown(name: string): ServerEventFacts["server"] {
  return { name, address: "", port: 0, weight: undefined };
}

function isDone(command: Command, outcome: ServerOutcome): boolean {
  return outcome.ok || (command.kind === "delete" && outcome.error.reason === "RESOURCE_NOT_FOUND");
}

function isServerEdit(edit: Edit): edit is ServerEdit {
  return "server" in edit;
}

function asDomainError(error: unknown): DomainError {
  return error instanceof DomainError
    ? error
    : new DomainError("HAPROXY_UNAVAILABLE", "HAProxy could not be asked", { cause: error });
}
