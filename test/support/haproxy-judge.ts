import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Lines of configuration that are judged apart from others. */
export interface Case {
  /** What the case is about, for reports. */
  readonly name: string;
  /** Whole sections, as lines. Names in them must hold `@`, which becomes something unique. */
  readonly lines: readonly string[];
}

/** What HAProxy says of a case: undefined when it accepts it, else its alerts. */
export type Verdict = string | undefined;

/** Files that cases may name, by name. */
export type Files = Readonly<Record<string, string>>;

/**
 * Lets the real HAProxy judge many cases with few runs of it: all in one file, those it complains of again alone, since one may stand in
 * the way of another.
 */
export function judge(
  haproxy: string,
  preamble: readonly string[],
  cases: readonly Case[],
  files: Files = {},
): Verdict[] {
  const directory = mkdtempSync(join(tmpdir(), "haplane-judge-"));
  try {
    for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content);
    const court = new Court(haproxy, directory, preamble);
    const bare = court.alone({ name: "preamble", lines: [] });
    if (bare !== undefined) throw new Error(`HAProxy refuses the configuration around the cases: ${bare}`);
    const verdicts: Verdict[] = cases.map(() => undefined);
    for (const index of court.suspects(cases)) verdicts[index] = court.alone(cases[index]!);
    return verdicts;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

class Court {
  readonly #haproxy: string;
  readonly #directory: string;
  readonly #preamble: readonly string[];

  constructor(haproxy: string, directory: string, preamble: readonly string[]) {
    this.#haproxy = haproxy;
    this.#directory = directory;
    this.#preamble = preamble;
  }

  /** The cases that cannot be accepted together with all others. */
  suspects(cases: readonly Case[]): number[] {
    const suspects = new Set<number>();
    for (;;) {
      const rest = cases.map((_, index) => index).filter((index) => !suspects.has(index));
      const before = suspects.size;
      this.#narrow(cases, rest, suspects);
      if (suspects.size === before) return [...suspects].sort((a, b) => a - b);
    }
  }

  /** What HAProxy says of one case, which is accepted when it is at one of both ends: some directives must come first. */
  alone(one: Case): Verdict {
    const { lines } = this.#file([one], [0]);
    const { accepted, output } = this.#run(lines);
    const own = lines.slice(this.#preamble.length);
    return accepted || this.#run([...own, ...this.#preamble]).accepted
      ? undefined
      : output.filter((line) => /ALERT|signal/.test(line)).join("\n") ||
          output.join("\n") ||
          "refused without a word";
  }

  #narrow(cases: readonly Case[], indexes: readonly number[], suspects: Set<number>): void {
    if (indexes.length === 0) return;
    const { lines, owners } = this.#file(cases, indexes);
    const { accepted, output } = this.#run(lines);
    if (accepted) return;
    const named = new Set<number>();
    for (const text of output) {
      if (!text.includes("ALERT")) continue;
      const line = /\[[^\]]*:(\d+)\]/.exec(text);
      const owner = line === null ? undefined : owners[Number(line[1]) - 1];
      if (owner !== undefined) named.add(owner);
      for (const [, index] of text.matchAll(/\bx(\d+)x/g)) named.add(Number(index));
    }
    for (const index of named) suspects.add(index);
    if (named.size > 0) return;
    if (indexes.length === 1) {
      suspects.add(indexes[0]!);
      return;
    }
    const middle = indexes.length >> 1;
    this.#narrow(cases, indexes.slice(0, middle), suspects);
    this.#narrow(cases, indexes.slice(middle), suspects);
  }

  #file(
    cases: readonly Case[],
    indexes: readonly number[],
  ): { lines: string[]; owners: (number | undefined)[] } {
    const lines = [...this.#preamble];
    const owners: (number | undefined)[] = lines.map(() => undefined);
    for (const index of indexes)
      for (const line of cases[index]!.lines) {
        lines.push(line.replaceAll("@@", `x${index}x`));
        owners.push(index);
      }
    return { lines, owners };
  }

  #run(lines: readonly string[]): { accepted: boolean; output: string[] } {
    const file = join(this.#directory, "judged.cfg");
    writeFileSync(file, `${lines.join("\n")}\n`);
    const { status, signal, stdout, stderr } = spawnSync(this.#haproxy, ["-c", "-f", file], {
      cwd: this.#directory,
      encoding: "utf8",
      timeout: 60_000,
    });
    const output = `${stdout}${stderr}`.split("\n").filter((line) => line !== "");
    if (signal !== null) output.push(`killed by signal ${signal}`);
    return { accepted: status === 0, output };
  }
}
