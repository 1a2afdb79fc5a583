import { isIP } from "node:net";
import { DomainError } from "../lib/errors.ts";
import { type Answer, isRefusal, refusal } from "./answer.ts";
import type { CallOptions } from "./call-options.ts";
import { encodeCommand } from "./command.ts";
import type { CommandQueue } from "./command-queue.ts";
import type { OneWorker } from "./one-worker.ts";
import type { SetServer } from "./server-change.ts";

/** What `set server … addr` prints when it has done what it was told; it says failures with the same severity. */
const ADDRESS_SET = /changed from|no need to change|nothing changed/;

/** A command that changes a server. */
interface SetCommand {
  readonly words: readonly string[];
  /** What HAProxy prints when it is done, where its severity does not say. */
  readonly done?: RegExp;
}

/** What became of a change of one command. */
export type Setting = { readonly pid: number } | { readonly error: DomainError };

/**
 * Makes a change that is one command: it cannot come apart between two workers, so nothing has to be watched meanwhile. False, and nothing done, for one that takes more. Costs no promise, since thousands may
 * be changed together.
 */
export function setAtOnce(
  queue: Pick<CommandQueue, "send">,
  change: SetServer,
  options: CallOptions,
  settled: (setting: Setting) => void,
): boolean {
  const [command, ...others] = setCommands(change);
  if (command === undefined || others.length > 0) return false;
  queue.send(encodeCommand(command.words), options, {
    answered: (answer) =>
      settled(isMade(command, answer) ? { pid: answer.workerPid } : { error: refusalOf(command, answer) }),
    failed: (error) => settled({ error }),
  });
  return true;
}

/** Makes a change of any number of commands, one after the other: a server must not become ready when its address was refused. */
export async function setServer(worker: OneWorker, change: SetServer): Promise<void> {
  for (const command of setCommands(change)) {
    const answer = await worker.ask(...command.words);
    if (!isMade(command, answer)) throw refusalOf(command, answer);
  }
}

/** The commands of a change, in order. Throws `FIELD_INVALID`. */
function setCommands({ backend, server, address, port, ...values }: SetServer): SetCommand[] {
  const name = `${backend}/${server}`;
  const { weight, health, agent, state, checks, agentChecks } = values;
  const commands: SetCommand[] = [];
  const set = (...words: string[]) => commands.push({ words: ["set", "server", name, ...words] });
  const turn = (what: string, on: boolean | undefined) => {
    if (on !== undefined) commands.push({ words: [on ? "enable" : "disable", what, name] });
  };
  if (address !== undefined) {
    if (isIP(address) === 0) throw invalid("address", "must be an IPv4 or IPv6 address");
    if (port !== undefined) assertPort(port);
    const place = port === undefined ? [address] : [address, "port", String(port)];
    commands.push({ words: ["set", "server", name, "addr", ...place], done: ADDRESS_SET });
  } else if (port !== undefined) {
    throw invalid("port", "needs the address beside it");
  }
  turn("health", checks);
  turn("agent", agentChecks);
  if (weight !== undefined) set("weight", String(weight));
  if (health !== undefined) set("health", health);
  if (agent !== undefined) set("agent", agent);
  if (state !== undefined) set("state", state);
  return commands;
}

function isMade({ done }: SetCommand, answer: Answer): boolean {
  return !isRefusal(answer) && (done === undefined || done.test(answer.text));
}

/** The error has the command without its values. */
function refusalOf({ words }: SetCommand, answer: Answer): DomainError {
  return refusal(words.slice(0, 3).join(" "), answer);
}

/** HAProxy keeps the lower 16 bits of a larger port, and says nothing. */
export function assertPort(port: number): void {
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw invalid("port", "must be 0 to 65535");
}

/** The error for a value that HAProxy cannot be given. */
export function invalid(field: string, description: string): DomainError {
  return new DomainError("FIELD_INVALID", `${field} ${description}.`, {
    violations: [{ field, description }],
  });
}
