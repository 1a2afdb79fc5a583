import { DomainError } from "../lib/errors.ts";

/** Control characters but the tab; a newline begins another command. */
const CONTROLS = /[\x00-\x08\x0a-\x1f\x7f]/;

/**
 * Reads a command that a person wrote in HAProxy's syntax (management guide, section 9.3): words between blanks, a backslash before a character that belongs to a word. Throws `FIELD_INVALID` for
 * whatever could be more than one command or begin a payload: line breaks, `;`, `<<`.
 */
export function readCommand(command: string): string[] {
  if (CONTROLS.test(command)) throw wrong("must be one line without control characters");
  const words: string[] = [];
  let word: string | undefined;
  for (let at = 0; at < command.length; at += 1) {
    const char = command[at] as string;
    if (char === "\\") {
      at += 1;
      if (at === command.length) throw wrong("must not end with a backslash");
      word = (word ?? "") + command[at];
    } else if (char === " " || char === "\t") {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (char === ";") {
      throw wrong("must be one command: a ; that belongs to a word has a backslash before it");
    } else if (char === "<" && command[at + 1] === "<") {
      throw wrong("must not hold <<: what follows a command is in payload");
    } else {
      word = (word ?? "") + char;
    }
  }
  if (word !== undefined) words.push(word);
  if (words.length === 0) throw wrong("must hold a command");
  return words;
}

function wrong(description: string): DomainError {
  return new DomainError("FIELD_INVALID", `command ${description}`, {
    violations: [{ field: "command", description }],
  });
}
