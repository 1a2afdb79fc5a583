import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { checkLineValue } from "../../src/grammar/check.ts";
import { configGrammar } from "../../src/grammar/config-grammar.ts";
import type { Directive } from "../../src/grammar/directive.ts";
import { printLine } from "../../src/grammar/line-text.ts";
import { Order } from "../../src/grammar/order.ts";
import { sameValue } from "../../src/grammar/same.ts";
import type { SectionCodec } from "../../src/grammar/section-codec.ts";
import { spoeGrammar } from "../../src/grammar/spoe-grammar.ts";
import { MAX_WORDS } from "../../src/text/word.ts";
import { lexWords } from "../../src/text/words.ts";
import { lineValues } from "../support/grammar-arbitraries.ts";
import { samplesOf } from "../support/grammar-samples.ts";

function wordsOf(text: string) {
  const bytes = Buffer.from(text);
  const { words, error, comment } = lexWords(bytes, 0, bytes.length);
  assert.equal(error, undefined);
  assert.equal(comment, -1);
  return words;
}

/** The languages, and how many lines of each are tried. */
const LANGUAGES = [
  ["haproxy.cfg", configGrammar(), { values: 3000, lines: 20_000 }],
  ["SPOE files", spoeGrammar(), { values: 600, lines: 4_000 }],
] as const;

for (const [language, grammar, runs] of LANGUAGES) {
  const directives = grammar.sections.flatMap((codec) =>
    codec.directives.map((directive) => ({ codec, directive })),
  );

  /** A directive with a value of it. */
  const lines: fc.Arbitrary<{ codec: SectionCodec; directive: Directive; value: unknown }> = fc
    .constantFrom(...directives)
    .chain(({ codec, directive }) => lineValues(directive).map((value) => ({ codec, directive, value })));

  test(`${language}: a value is refused, or prints to one line that reads back to the same value`, () => {
    let printed = 0;
    fc.assert(
      fc.property(lines, ({ codec, directive, value }) => {
        if (checkLineValue(directive, value, undefined, "value").length > 0) return;
        const result = printLine(directive, value, "value");
        if (!result.ok) return;
        printed++;
        const text = String(result.text);
        assert.ok(!/[\n\r\0]/.test(text));
        const words = wordsOf(text);
        assert.ok(words.length <= MAX_WORDS);
        const found = codec.find(words);
        assert.equal(found?.directive, directive);
        assert.ok(sameValue(directive, directive.read(words, found!.start, found!.spelling), value));
      }),
      { numRuns: runs.values },
    );
    assert.ok(printed > runs.values / 3, `only ${printed} values could be printed`);
  });

  const samples = samplesOf(grammar).flatMap(({ codec, directive, value, path }) => {
    const result = printLine(directive, value, path);
    return result.ok ? [{ codec, text: String(result.text) }] : [];
  });

  /** Lines like those of samples, their words cut, doubled, mixed with those of another, or changed. */
  const mutants = fc
    .tuple(
      fc.constantFrom(...samples),
      fc.constantFrom(...samples),
      fc.infiniteStream(fc.nat()),
      fc.string({ maxLength: 4 }),
    )
    .map(([one, other, random, junk]) => {
      const words = wordsOf(one.text).map(({ value }) => value);
      const others = wordsOf(other.text).map(({ value }) => value);
      const pick = (limit: number) => random.next().value! % limit;
      for (let times = pick(4); times > 0; times--) {
        const at = 1 + pick(words.length);
        const kind = pick(5);
        if (kind === 0) words.splice(at, 1);
        else if (kind === 1) words.splice(at, 0, words[pick(words.length)]!);
        else if (kind === 2) words.splice(at, 0, ...others.slice(1 + pick(others.length)));
        else if (kind === 3) words.splice(at, 1, junk);
        else words.splice(1, words.length - 1, ...words.slice(1).reverse());
      }
      return { codec: one.codec, words: words.slice(0, MAX_WORDS) };
    });

  test(`${language}: a line that is typed is written again with the same words in the same order`, () => {
    let typed = 0;
    fc.assert(
      fc.property(mutants, ({ codec, words }) => {
        const line = words.map((value) => ({ value }));
        const found = codec.find(line);
        if (found === undefined) return;
        const { directive, start, spelling } = found;
        const order = new Order();
        const value = directive.read(line, start, spelling, order);
        if (value === undefined) return;
        typed++;
        assert.deepEqual(directive.write(value, { spelling, order }), words);
        assert.ok(sameValue(directive, value, directive.read(line, start, spelling)));
      }),
      { numRuns: runs.lines },
    );
    assert.ok(typed > runs.lines / 4, `only ${typed} lines were typed`);
  });
}
