import assert from "node:assert/strict";
import { test } from "node:test";
import { parseCases } from "./case-file.ts";

const MEANS = "---- means global\n{}\n";
const WRONG: readonly (readonly [text: string, error: RegExp])[] = [
  [`==== a\nglobal\n---- mean global\n{}\n${MEANS}`, /no such step: ---- mean global/],
  [`==== a\nglobal\n${MEANS}---- gives\nglobal\n`, /only a change gives something/],
  ["==== a\nglobal\n---- change global\n{}\n", /a change must be followed by what it gives/],
  ["==== a\nglobal\n", /a case without a step proves nothing/],
  ["==== a\nglobal\n---- change global under two\n{}\n---- gives\n", /only a change is under a version/],
  [`global\n==== a\nglobal\n${MEANS}`, /a line before the first case: global/],
];

for (const [text, error] of WRONG)
  test(`a mistake in a file of cases does not pass: ${error.source}`, () => {
    assert.throws(() => parseCases("x.cfgtest", text), error);
  });
