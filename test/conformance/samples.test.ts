import assert from "node:assert/strict";
import { test } from "node:test";
import { configGrammar } from "../../src/grammar/config-grammar.ts";
import { type Version, within } from "../../src/grammar/version.ts";
import { compareGaps, installedHaproxy } from "../support/expected-gaps.ts";
import { distinctSamples, type Sample, samplesOf } from "../support/grammar-samples.ts";
import { judge } from "../support/haproxy-judge.ts";
import { configurationOf, PREAMBLE, sampleFiles } from "../support/sample-configuration.ts";

function exists({ codec, spans }: Sample, version: Version): boolean {
  return [...codec.kinds.values(), ...spans.map((span) => ({ span }))].every(({ span }) =>
    within(version, span),
  );
}

test("HAProxy accepts a line for every field, choice and enum value that it has, but for the expected gaps", () => {
  const { version } = installedHaproxy();
  const samples = distinctSamples(samplesOf(configGrammar())).filter((sample) => exists(sample, version));
  const cases = samples.map(configurationOf);
  const verdicts = judge("haproxy", PREAMBLE, cases, sampleFiles());
  const refused = cases.flatMap(({ name }, index) => (verdicts[index] === undefined ? [] : [name]));
  const { unexpected, outdated } = compareGaps("sample", refused, (gap) =>
    cases.some(({ name }) => (gap.endsWith("*") ? name.startsWith(gap.slice(0, -1)) : name === gap)),
  );
  const reasons = unexpected.map((name) => {
    const index = cases.findIndex((one) => one.name === name);
    return `${name}: "${cases[index]!.lines.at(-1)!.trim()}": ${verdicts[index]}`;
  });
  assert.deepEqual({ reasons, outdated }, { reasons: [], outdated: [] });
  assert.ok(
    refused.length <= samples.length * 0.05,
    `${refused.length} of ${samples.length} lines are refused`,
  );
});
