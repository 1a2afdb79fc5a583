import { DomainError } from "../lib/errors.ts";

/** HAProxy 2.6 drops the words after the 64th without a message. */
export const MAX_WORDS = 64;

/**
 * Longest command, its payload included. HAProxy reads a command into one buffer (`tune.bufsize`, 16,384 by default), and
 * 2.6 crashes on a payload that does not fit.
 */
export const MAX_COMMAND_BYTES = 15 * 1024;

/** Longest piece of a payload that can be cut between lines. */
export const MAX_CHUNK_BYTES = 8 * 1024;

/** What has a meaning of its own to the command line: separators, the escape itself, and `<<`, which begins a payload. */
const special = /[ \t\\;<]/g;

/** NUL, newlines and the rest of the control characters; HAProxy has no way to write them in a command. */
const controls = /[\x00-\x08\x0a-\x1f\x7f]/;

/**
 * Encodes one command for the stats socket (management guide, section 9.3): every word is escaped, so that HAProxy reads
 * exactly these words and no second command. Throws `FIELD_INVALID` for what cannot be written: an
 * empty word, a control character, too many words, too many bytes.
 */
export function encodeCommand(words: readonly string[]): string {
  if (words.length === 0) throw unwritable("a command has at least one word");
  if (words.length > MAX_WORDS)
    throw unwritable(`HAProxy reads ${MAX_WORDS} words of a command at most, not ${words.length}`);
  const line = words.map(escapeWord).join(" ");
  assertFits(line);
  return `${line}\n`;
}

/**
 * Encodes commands that carry lines as payload, as many commands as it takes to keep each below 8 KiB: for the commands that
 * add entries and can be repeated, such as `add map`. A line goes over as it is, so its words are
 * HAProxy's to split. Throws `FIELD_INVALID` for an empty line (it would end the payload) and for control characters.
 */
export function encodeLinesCommand(words: readonly string[], lines: readonly string[]): string[] {
  const head = `${encodeCommand(words).slice(0, -1)} <<\n`;
  const commands: string[] = [];
  let chunk = "";
  for (const line of lines) {
    if (line === "" || controls.test(line))
      throw unwritable("a payload line is empty or holds a control character");
    if (chunk !== "" && Buffer.byteLength(chunk) + Buffer.byteLength(line) + 1 > MAX_CHUNK_BYTES) {
      commands.push(`${head}${chunk}\n`);
      chunk = "";
    }
    chunk += `${line}\n`;
    assertFits(head + chunk);
  }
  if (chunk !== "") commands.push(`${head}${chunk}\n`);
  return commands;
}

/**
 * Encodes a command whose payload has to arrive in one piece, such as `set ssl cert`: half a PEM counts as a whole one. Throws `LIMIT_EXCEEDED` when it does not fit, `FIELD_INVALID` for an empty line in it
 * and for control characters.
 */
export function encodePieceCommand(words: readonly string[], payload: string): string {
  const head = encodeCommand(words).slice(0, -1);
  // An empty line ends a payload: without one HAProxy would wait for more of it.
  const lines = payload.replace(/\n$/, "");
  for (const line of lines.split("\n"))
    if (line === "" || controls.test(line))
      throw unwritable("a payload line is empty or holds a control character");
  const command = `${head} <<\n${lines}\n\n`;
  if (Buffer.byteLength(command) <= MAX_COMMAND_BYTES) return command;
  throw new DomainError(
    "LIMIT_EXCEEDED",
    `what has to be sent to HAProxy in one piece is longer than ${MAX_COMMAND_BYTES} bytes`,
    { metadata: { limit: `${MAX_COMMAND_BYTES} bytes` } },
  );
}

/** Longest single value that a command may hold, escaped, so that two of them fit beside the rest. */
const MAX_VALUE_BYTES = 7 * 1024;

/** Why a value that somebody gave cannot be a word of a command; undefined when it can. */
export function wordProblem(word: string): string | undefined {
  if (controls.test(word)) return "holds a control character, which HAProxy has no way to read";
  return Buffer.byteLength(word.replace(special, "\\$&")) > MAX_VALUE_BYTES
    ? `is longer than ${MAX_VALUE_BYTES} bytes`
    : undefined;
}

function escapeWord(word: string): string {
  if (word === "") throw unwritable("HAProxy has no way to write an empty word");
  if (controls.test(word)) throw unwritable("a word holds a control character");
  return word.replace(special, "\\$&");
}

function assertFits(command: string): void {
  if (Buffer.byteLength(command) > MAX_COMMAND_BYTES)
    throw unwritable(`a command is longer than ${MAX_COMMAND_BYTES} bytes`);
}

function unwritable(description: string): DomainError {
  return new DomainError("FIELD_INVALID", `Not a command for HAProxy: ${description}.`, {
    violations: [{ field: "command", description }],
  });
}
