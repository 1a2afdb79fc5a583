const MAX_LENGTH = 256;
const MAX_CHOICES = 3;
const MAX_COUNT = 100;

/** A pattern's parts as far as its cost depends on them. */
const TOKEN = /\\.|\[(?:\\.|[^\]\\])*\]|\((?:\?.?)?|\)|[*+?]\??|\{\d+(?:,\d*)?\}\??|./gsu;

/**
 * Why a regular expression for names cannot be used; undefined when it can. Whoever may set up a source must not be able to stop the process with one, so the places where a
 * name can match in more ways than one (quantifiers without a fixed count, groups of alternatives) are few, and none is inside a repetition: the cost is at most cubic in the length of a name.
 */
export function patternViolation(pattern: string): string | undefined {
  if (pattern.length > MAX_LENGTH) return `must have at most ${MAX_LENGTH} characters`;
  try {
    // Alone first: `a)|(b` is an expression only inside of our own.
    new RegExp(pattern, "su");
    compilePattern(pattern);
  } catch {
    return "is not a regular expression";
  }
  return costOf(pattern);
}

/** The expression that a whole name has to match. */
export function compilePattern(pattern: string): RegExp {
  return new RegExp(`^(?:${pattern})$`, "su");
}

function costOf(pattern: string): string | undefined {
  /** For each open group, the outermost first: how many choices it holds. */
  const groups: number[] = [];
  let choices = 0;
  /** The choices in the group that has just been closed. */
  let closed = 0;
  const choose = () => {
    choices++;
    for (const index of groups.keys()) groups[index] = (groups[index] ?? 0) + 1;
  };
  for (const [token] of pattern.matchAll(TOKEN)) {
    if (/^\\[1-9k]/.test(token)) return "must not have a back-reference";
    if (token.startsWith("(?") && token !== "(?:") return "must not look around or name a group";
    if (token.startsWith("(")) groups.push(0);
    if (token === "|" && groups.at(-1) === 0) choose();
    const isFixed = /^\{\d+\}/.test(token);
    const isVariable = !isFixed && /^(?:[*+?]|\{\d)/.test(token);
    if ((isFixed || isVariable) && closed > 0) return "must not have a choice in a repeated group";
    if (Math.max(...(token.match(/^\{.*/)?.[0].match(/\d+/g) ?? ["0"]).map(Number)) > MAX_COUNT)
      return `must not count beyond ${MAX_COUNT}`;
    if (isVariable) choose();
    if (choices > MAX_CHOICES) return `must have at most ${MAX_CHOICES} choices`;
    closed = token === ")" ? (groups.pop() ?? 0) : 0;
  }
  return undefined;
}
