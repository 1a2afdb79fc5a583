import type { Line } from "./line.ts";
import type { Mark } from "./section.ts";

/** One arm of a conditional block: the lines between `.if`, `.elif` or `.else` and the next of them, or `.endif`. */
export interface Arm {
  readonly kind: "if" | "elif" | "else";
  /** The condition as HAProxy reads it: the words behind the keyword, joined by single spaces. Empty for `.else`. */
  readonly condition: string;
  /** Line of the `.if`, `.elif` or `.else`. Two arms of one `block` are never both read. */
  readonly line: number;
  /** Line of the `.if` that the block starts with. */
  readonly block: number;
  /** The arm that the block stands in. */
  readonly parent: Arm | undefined;
}

/** A conditional line that HAProxy refuses: one without its `.if`, or a block that never ends. */
export interface ArmError {
  readonly line: number;
  readonly kind: "elif" | "else" | "endif" | "unterminated";
}

/** The conditional blocks of a file. */
export class Arms {
  readonly errors: readonly ArmError[];
  readonly #lines: readonly number[];
  readonly #arms: readonly (Arm | undefined)[];

  /** After `lines[i]` the arm `arms[i]` holds. */
  constructor(lines: readonly number[], arms: readonly (Arm | undefined)[], errors: readonly ArmError[]) {
    this.#lines = lines;
    this.#arms = arms;
    this.errors = errors;
  }

  /** The line of the `.endif` behind which no block that holds a line goes on; undefined when there is none. */
  endOf(line: number): number | undefined {
    const next = this.#lines.findIndex((other, index) => other >= line && this.#arms[index] === undefined);
    return this.#lines[next];
  }

  /** The innermost arm that a line stands in. */
  at(line: number): Arm | undefined {
    let low = 0;
    let high = this.#lines.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#lines[middle]! <= line) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return undefined;
    const arm = this.#arms[low - 1];
    // A conditional line stands where its block stands; `.endif` has left it already.
    return arm?.line === line ? arm.parent : arm;
  }
}

/** Reads the blocks from the lines that shape a file. */
export function armsOf(marks: Iterable<{ kind: Mark["kind"]; line: number; text: () => Line }>): Arms {
  const lines: number[] = [];
  const arms: (Arm | undefined)[] = [];
  const errors: ArmError[] = [];
  let arm: Arm | undefined;
  for (const { kind, line, text } of marks) {
    if (kind === "scope" || kind === "message") continue;
    if (kind === "if") {
      arm = { kind, condition: conditionOf(text()), line, block: line, parent: arm };
    } else if (arm === undefined || (arm.kind === "else" && kind !== "endif")) {
      errors.push({ line, kind });
      continue;
    } else if (kind === "endif") {
      arm = arm.parent;
    } else {
      const condition = kind === "elif" ? conditionOf(text()) : "";
      arm = { kind, condition, line, block: arm.block, parent: arm.parent };
    }
    lines.push(line);
    arms.push(arm);
  }
  for (let open = arm; open !== undefined; open = open.parent)
    errors.push({ line: open.block, kind: "unterminated" });
  return new Arms(lines, arms, errors);
}

function conditionOf(line: Line): string {
  return line.words
    .slice(1)
    .map((word) => word.value)
    .join(" ");
}
