import { type ExecuteRequest, ExecuteRequestSchema } from "../../gen/haplane/v1/runtime_pb.js";
import { readCommand } from "../haproxy/read-command.ts";
import { checkFields, fieldsInvalid } from "../rpc/fields.ts";
import type { CallContext } from "../rpc/handler.ts";
import { checkRequest } from "./check-request.ts";
import type { RuntimeTools } from "./runtime-options.ts";

const TIMEOUT_MS = { default: 5_000, least: 1, most: 60_000 };

/** Longest output that is returned; gRPC's clients accept messages of 4 MiB. */
const MAX_OUTPUT = 1024 * 1024;

/** Commands that only read. Whatever else was done is looked for before servers are next changed. */
const READS: ReadonlySet<string> = new Set(["show", "help", "get", "echo", "wait"]);

/** Commands that belong to the connection, not to HAProxy, with what is said of them. The connection ends with the call. */
const REFUSED: readonly (readonly [words: readonly string[], why: string])[] = [
  [["prompt"], "changes how the connection is read"],
  [["quit"], "ends the connection"],
  [["set", "timeout"], "changes the connection only"],
  [["set", "severity-output"], "changes how the connection is read"],
  [["set", "anon"], "changes what the connection shows"],
  [["operator"], "lowers what the connection may do"],
  [["user"], "lowers what the connection may do"],
  [["expert-mode"], "changes the connection only"],
  [["experimental-mode"], "changes the connection only"],
  [["mcli-debug-mode"], "changes the connection only"],
  [["_getsocks"], "hands sockets over, which nobody would take"],
  [["reload"], "is for Reload"],
  [["hard-reload"], "is for Reload"],
];

/** Sends one command of a user's. */
export async function execute(
  { haproxy, commit, logger }: RuntimeTools,
  request: ExecuteRequest,
  { signal, caller, requestId, peer }: CallContext,
) {
  checkRequest(ExecuteRequestSchema, request);
  const timeoutMs = checkFields((check) =>
    check.duration("timeout", request.timeout, TIMEOUT_MS.default, TIMEOUT_MS.least, TIMEOUT_MS.most),
  );
  const words = readCommand(request.command);
  refuse(words);
  const payload = request.payload.length === 0 ? undefined : payloadOf(request.payload);
  // What follows may be a key or a password.
  const named = words.slice(0, 2).join(" ");
  logger.warn(
    { audit: "execute", caller: caller.name, peer: peer.address, requestId, command: named },
    "a raw command is sent to HAProxy",
  );
  try {
    const output = await haproxy.runtime.execute(words, {
      ...{ signal, timeoutMs },
      ...(payload !== undefined && { payload }),
    });
    return { output: output.slice(0, MAX_OUTPUT), truncated: output.length > MAX_OUTPUT };
  } finally {
    if (!READS.has(words[0] as string)) commit.doubtWorker();
  }
}

function refuse(words: readonly string[]): void {
  const [first = ""] = words;
  const why =
    first.startsWith("@") || first.startsWith("!")
      ? "is for the master, which haplane works with itself"
      : REFUSED.find(([refused]) => refused.every((word, at) => isPrefix(words[at], word)))?.[1];
  const endless =
    isPrefix(first, "show") && isPrefix(words[1], "events") && words.some((word) => /^-\w*w/.test(word));
  const description = endless ? "never ends with -w" : why;
  if (description !== undefined)
    throw fieldsInvalid([{ field: "command", description: `is refused: ${first} ${description}` }]);
}

/** HAProxy takes the beginning of a keyword for the keyword. */
function isPrefix(word: string | undefined, keyword: string): boolean {
  return word !== undefined && word !== "" && keyword.startsWith(word);
}

function payloadOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw fieldsInvalid([{ field: "payload", description: "must be text in UTF-8" }]);
  }
}
