import assert from "node:assert/strict";
import { test } from "node:test";
import { configGrammar } from "../../src/grammar/config-grammar.ts";
import { type Version, within } from "../../src/grammar/version.ts";
import { reprint } from "../../src/inspect/reprint.ts";
import { compareGaps } from "../support/expected-gaps.ts";
import { distinctSamples, type Sample, samplesOf } from "../support/grammar-samples.ts";
import { type Case, judge } from "../support/haproxy-judge.ts";
import { judgingHaproxys } from "../support/judging-haproxys.ts";
import { configurationOf, PREAMBLE, sampleFiles } from "../support/sample-configuration.ts";

const grammar = configGrammar();
const all = distinctSamples(samplesOf(grammar));

function exists({ codec, spans }: Sample, version: Version): boolean {
  return [...codec.kinds.values(), ...spans.map((span) => ({ span }))].every(({ span }) =>
    within(version, span),
  );
}

/** The case, printed anew from messages. Names that are still to be filled in are none that the grammar could read. */
function reprinted({ name, lines }: Case): Case {
  const text = `${lines.join("\n")}\n`.replaceAll("@@", "standsForName");
  const printed = reprint(grammar, Buffer.from(text)).toString().replaceAll("standsForName", "@@");
  return { name, lines: printed.trimEnd().split("\n") };
}

for (const haproxy of judgingHaproxys) {
  const { name, binary, version } = haproxy;
  const samples = all.filter((sample) => exists(sample, version));
  const cases = samples.map((sample) => configurationOf(sample, version));
  let verdicts: ReturnType<typeof judge>;

  test(`${name} accepts a line for every field, choice and enum value that it has, but for the expected gaps`, () => {
    verdicts = judge(binary, PREAMBLE, cases, sampleFiles());
    const refused = cases.flatMap((one, index) => (verdicts[index] === undefined ? [] : [one.name]));
    const { unexpected, outdated } = compareGaps("sample", haproxy, refused, (gap) =>
      cases.some((one) => (gap.endsWith("*") ? one.name.startsWith(gap.slice(0, -1)) : one.name === gap)),
    );
    const reasons = unexpected.map((subject) => {
      const index = cases.findIndex((one) => one.name === subject);
      return `${subject}: "${cases[index]!.lines.at(-1)!.trim()}": ${verdicts[index]}`;
    });
    assert.deepEqual({ reasons, outdated }, { reasons: [], outdated: [] });
    assert.ok(
      refused.length <= samples.length * 0.05,
      `${refused.length} of ${samples.length} lines are refused`,
    );
  });

  test(`${name} accepts them again when they are printed anew from the messages`, () => {
    const again = cases.filter((_, index) => verdicts[index] === undefined).map(reprinted);
    const refused = judge(binary, PREAMBLE, again, sampleFiles()).flatMap((verdict, index) =>
      verdict === undefined ? [] : [`${again[index]!.name}: ${verdict}`],
    );
    assert.deepEqual(refused, []);
  });
}
