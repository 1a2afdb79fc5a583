import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { runInShell, shellEnvironment } from "./commands.ts";
import { fencedBlocks } from "./markdown.ts";
import { root } from "./programs.ts";

/** A page of `docs/` whose blocks fenced as `sh` are one session, to be run one after another. */
export interface SessionPage {
  /** Its file in `docs/`. */
  readonly page: string;
  /** Makes the commands of the page reach what the test runs. */
  readonly here: (script: string) => string;
  /** Comes before them. Default: nothing. */
  readonly prelude?: string;
  /** Comes after the block of that number, as part of it. Default: nothing. */
  readonly probes?: ReadonlyMap<number, string>;
  /** Variables beside those of `shellEnvironment`. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** What a block has to have printed, by its number from 0. */
export type SaidByBlock = readonly (readonly [block: number, said: RegExp])[];

/** Runs a session in the root of the checkout, checks that nothing failed, and what was said; returns all that was printed. */
export async function runSession(session: SessionPage, expected: SaidByBlock): Promise<string> {
  const { page, here, prelude = "", probes, environment } = session;
  const blocks = fencedBlocks(readFileSync(join(root, "docs", page), "utf8")).filter(
    ({ language }) => language === "sh",
  );
  const steps = blocks.flatMap(({ text }, index) => [`echo "== ${index}"`, text, probes?.get(index) ?? ""]);
  const script = here([prelude, ...steps].join("\n"));
  const { code, stdout, stderr, leftOvers } = await runInShell(script, shellEnvironment(environment));
  leftOvers();
  assert.equal(code, 0, `${stdout}\n${stderr}`);
  assert.equal(stderr, "");
  const printed = stdout.split(/^== \d+\n/m).slice(1);
  assert.equal(printed.length, blocks.length);
  for (const [block, said] of expected) {
    assert.ok(block < blocks.length, `${page} has ${blocks.length} blocks`);
    assert.match(printed[block] ?? "", said, `block ${block} of ${page}`);
  }
  // curl takes an error that haplane tells in JSON for an answer like any other; a page shows only refusals of this kind.
  assert.doesNotMatch(stdout, /"code": ?"(?!failed_precondition)[a-z_]+"/);
  return stdout;
}

/** Makes the commands of a page reach the sockets of a haplane in that directory, and each of the given ports another one. */
export function reachIn(
  dir: string,
  ports: ReadonlyMap<number, number> = new Map(),
): (script: string) => string {
  const state = join(dir, "state");
  return (script) => {
    let text = script
      .replaceAll(".haplane/state", state)
      .replaceAll("127.0.0.1:5555", `unix://${state}/grpc.sock`);
    for (const [port, own] of ports) text = text.replaceAll(String(port), String(own));
    return `curl() { case "$*" in *127.0.0.1:5556*) command curl --unix-socket ${state}/connect.sock "$@";; *) command curl "$@";; esac; }
${text}`;
  };
}
