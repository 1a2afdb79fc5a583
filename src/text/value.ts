/**
 * The value of a word is a string in which `${NAME}`, `${NAME-default}` and `${NAME[*]}` stand for the environment.
 * So that a literal `${` can be told apart, the dollars right before a `{` or a reference are doubled:
 *
 * | value        | means                                 |
 * |--------------|---------------------------------------|
 * | `${HOST}:80` | the variable HOST, then `:80`         |
 * | `$${HOST}`   | the seven characters `${HOST}`        |
 * | `$$${HOST}`  | a dollar, then the variable HOST      |
 * | `^/a$`       | itself: no brace follows the dollar   |
 */

/** A stretch of a value: text as it is, or one reference to the environment. */
export type ValuePart =
  | { readonly kind: "literal"; readonly text: string }
  | { readonly kind: "reference"; readonly text: string };

const REFERENCE =
  /^\$\{(?:[A-Za-z_][A-Za-z0-9_]*|\.FILE|\.LINE|\.SECTION)(?:\[\*\])?(?:-[^}\0-\x1f\x7f]*)?\}/;

/** Writes literal text as a value. */
export function literalValue(text: string): string {
  return escapeDollars(text, false);
}

/** Doubles the dollars that a reader of the value would take for a reference. */
export function escapeDollars(text: string, beforeReference: boolean): string {
  if (!text.includes("$")) return text;
  const escaped = text.includes("${") ? text.replace(/\$+(?=\{)/g, "$&$&") : text;
  return beforeReference ? escaped.replace(/\$+$/, "$&$&") : escaped;
}

/**
 * Takes a value apart; neighbouring parts are never both literal. Undefined when a `${` starts no reference that
 * HAProxy can read: a bad name, or no closing brace.
 */
export function parseValue(value: string): readonly ValuePart[] | undefined {
  const parts: ValuePart[] = [];
  let literal = "";
  let at = 0;
  for (;;) {
    const dollar = value.indexOf("$", at);
    if (dollar < 0) break;
    let next = dollar;
    while (value[next] === "$") next++;
    const run = next - dollar;
    if (value[next] !== "{") {
      literal += value.slice(at, next);
      at = next;
      continue;
    }
    literal += value.slice(at, dollar) + "$".repeat(run >> 1);
    if (run % 2 === 0) {
      at = next;
      continue;
    }
    const reference = REFERENCE.exec(value.slice(next - 1));
    if (reference === null) return undefined;
    if (literal !== "") parts.push({ kind: "literal", text: literal });
    parts.push({ kind: "reference", text: reference[0] });
    literal = "";
    at = next - 1 + reference[0].length;
  }
  literal += value.slice(at);
  if (literal !== "") parts.push({ kind: "literal", text: literal });
  return parts;
}
