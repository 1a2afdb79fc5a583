import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { configGrammar } from "../../src/grammar/config-grammar.ts";
import { inspectFile } from "../../src/inspect/inspect-file.ts";
import { reprint } from "../../src/inspect/reprint.ts";
import { distinctSamples, samplesOf } from "../support/grammar-samples.ts";
import { configurationOf } from "../support/sample-configuration.ts";

const grammar = configGrammar();
const sections = distinctSamples(samplesOf(grammar)).map((sample) => configurationOf(sample).lines);

/** What happens to a line: a byte of it is changed, or put in. */
interface Damage {
  readonly spared: boolean;
  readonly replace: boolean;
  readonly at: number;
  readonly character: string;
}

const damage: fc.Arbitrary<Damage> = fc.record({
  spared: fc.boolean(),
  replace: fc.boolean(),
  at: fc.nat(),
  character: fc.constantFrom(..." \t\"'\\#${}\0\r\xffx"),
});
const file = fc
  .tuple(
    fc.array(fc.tuple(fc.constantFrom(...sections), fc.array(damage, { minLength: 12, maxLength: 12 })), {
      maxLength: 8,
    }),
    fc.constantFrom("\n", "\r\n"),
    fc.constantFrom("", "\n"),
  )
  .map(([parts, newline, end]) => {
    const lines = parts.flatMap(([section, damages]) => section.map((text, i) => mangled(text, damages[i])));
    return Buffer.from(lines.join(newline) + end, "latin1");
  });

function mangled(text: string, what: Damage | undefined): string {
  if (what === undefined || what.spared) return text;
  const place = what.at % (text.length + 1);
  return text.slice(0, place) + what.character + text.slice(what.replace ? place + 1 : place);
}

test("any file is inspected without a throw, prints back, and printed anew says the same to the grammar", () => {
  let typed = 0;
  fc.assert(
    fc.property(file, (bytes) => {
      const report = inspectFile(grammar, "a.cfg", bytes);
      typed += report.typed;
      assert.ok(report.lossless);
      assert.equal(report.directives, report.typed + report.unmodelled.length);
      assert.ok(report.partial <= report.typed && report.depth >= 0 && report.depth <= 1);
      const printed = reprint(grammar, bytes);
      const again = inspectFile(grammar, "a.cfg", printed);
      assert.deepEqual(
        [again.sections, again.typed, again.partial, again.unmodelled],
        [report.sections, report.typed, report.partial, report.unmodelled],
      );
      assert.deepEqual(reprint(grammar, printed), printed);
    }),
    { numRuns: 400 },
  );
  assert.ok(typed > 500, `${typed} lines had a message`);
});

test("bytes of any kind are inspected without a throw and print back", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (array) => {
      const bytes = Buffer.from(array);
      assert.ok(inspectFile(grammar, "", bytes).lossless);
      assert.deepEqual(reprint(grammar, reprint(grammar, bytes)), reprint(grammar, bytes));
    }),
    { numRuns: 500 },
  );
});
