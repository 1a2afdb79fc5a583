import { Type } from "../../gen/haplane/grammar/v1/grammar_pb.js";
import { parseValue } from "../text/value.ts";
import { CONDITION_WORDS, isPhrase } from "./argument.ts";
import { splitPhrase } from "./phrase.ts";
import type { FieldSyntax } from "./syntax.ts";

/** Why a text is not what its field is for; undefined when it is. */
export function textProblem({ type, separator }: FieldSyntax, value: string): string | undefined {
  if (value === "") return "must not be empty";
  if (!value.isWellFormed()) return "must be valid Unicode";
  if (value.includes("\0")) return "must not hold a NUL character";
  if (isPhrase(type)) {
    const words = splitPhrase(value);
    if (words === undefined)
      return "must be words as they are written in haproxy.cfg, with quotes closed and without comment or line break";
    if (type === Type.CONDITION && (!CONDITION_WORDS.includes(words[0]!) || words.length < 2))
      return 'must be "if" or "unless" and a condition';
    return undefined;
  }
  if (type !== Type.PAYLOAD && CONTROL.test(value))
    return "must not hold control characters, such as a line break, which are written in the text of the file only";
  const parts = parseValue(value);
  if (parts === undefined)
    return 'must refer to the environment as "${NAME}"; a "${" that stands for itself is written "$${"';
  if (separator !== "" && value.includes(separator))
    return `must not hold "${separator}", which separates the elements`;
  if (parts.some(({ kind }) => kind === "reference")) return undefined;
  return TYPE_PROBLEMS[type]?.(value);
}

/** A tab is a blank like another: files hold them, in quotes. */
const CONTROL = /[\0-\x08\x0a-\x1f\x7f]/;

const TYPE_PROBLEMS: Partial<Record<Type, (value: string) => string | undefined>> = {
  [Type.TIME]: (value) =>
    /^\d+(?:us|ms|s|m|h|d)?$/.test(value)
      ? undefined
      : "must be a number and a unit us, ms, s, m, h or d, as 30s",
  [Type.SIZE]: (value) =>
    /^\d+[kKmMgG]?$/.test(value)
      ? undefined
      : "must be a number of bytes, or one with the suffix k, m or g, as 16k",
  [Type.BYTES]: (value) => TYPE_PROBLEMS[Type.SIZE]!(value),
  [Type.NAME]: (value) =>
    /^[A-Za-z0-9_.:-]+$/.test(value) ? undefined : "must hold nothing but letters, digits, -, _, . and :",
  [Type.ADDRESS]: (value) => (/\s/.test(value) ? "must be an address, without blanks" : undefined),
};

/** A problem in words, with the text where it is no secret. */
export function describeText({ secret }: FieldSyntax, problem: string, value: string): string {
  return secret ? problem : `${problem}; found "${printable(value)}"`;
}

/** Values that break a rule about their characters are shown so that they stay one line of text. */
function printable(value: string): string {
  const shown = value.length > 100 ? `${value.slice(0, 100)}…` : value;
  return shown.replace(
    /[\0-\x1f\x7f]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}
