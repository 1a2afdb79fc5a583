import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { quoteWord, quoteWords } from "./quote.ts";
import { literalValue, parseValue } from "./value.ts";
import { MAX_WORDS } from "./word.ts";
import { lexWords } from "./words.ts";

const written: readonly (readonly [value: string, text: string])[] = [
  ["roundrobin", "roundrobin"],
  ["10.0.0.1:80", "10.0.0.1:80"],
  ["", '""'],
  ["a b", '"a b"'],
  ["a#b", '"a#b"'],
  ["it's", '"it\'s"'],
  ['say "hi"', "'say \"hi\"'"],
  ["\\.(jpg|png)$", "\\.(jpg|png)$"],
  ["^/a b$", "'^/a b$'"],
  ["a\\ b", "'a\\ b'"],
  ["a\\", "'a\\'"],
  ["a\\\\b", "'a\\\\b'"],
  ["\\x41", "'\\x41'"],
  ["'\"", '"\'\\""'],
  ["it's $5 \\", '"it\'s \\$5 \\\\"'],
  ["${HOST}:80", '"${HOST}:80"'],
  ['a b ${X-c d} "$\\', '"a b ${X-c d} \\"\\$\\\\"'],
  ["$${HOST}", "${HOST}"],
  ["$${HOST} x", "'${HOST} x'"],
  ["$$${HOST}", '"\\$${HOST}"'],
  ["%[req.hdr(Host),lower]", "%[req.hdr(Host),lower]"],
  ["añb", "añb"],
];

for (const [value, text] of written) {
  test(`${JSON.stringify(value)} is written ${text}`, () => {
    assert.deepEqual(quoteWord(value), { ok: true, text });
  });
}

const escaped: readonly (readonly [value: string, text: string])[] = [
  ["PING\r\n", "PING\\r\\n"],
  ["a\tb c\x01", '"a\\tb c\\x01"'],
  ["\\n\n", "\\\\n\\n"],
  ["\x7f${X}", '"\\x7f${X}"'],
];

for (const [value, text] of escaped) {
  test(`${JSON.stringify(value)} is written ${text} where payloads may stand`, () => {
    assert.deepEqual(quoteWord(value, { control: "escape" }), { ok: true, text });
    assert.deepEqual(quoteWord(value), { ok: false, refusal: { kind: "control", word: 0 } });
  });
}

const refused: readonly (readonly [values: readonly string[], kind: string, word: number])[] = [
  [["a", "b\nc"], "control", 1],
  [["\0"], "nul", 0],
  [["\ud800"], "surrogate", 0],
  [["${"], "reference", 0],
  [["${A"], "reference", 0],
  [["${1}"], "reference", 0],
  [["${.NOPE}"], "reference", 0],
  [["${A-\n}"], "control", 0],
  [["a", "", "b"], "empty", 1],
  [Array(MAX_WORDS + 1).fill("x"), "words", MAX_WORDS],
];

for (const [values, kind, word] of refused) {
  test(`${JSON.stringify(values).slice(0, 40)} is refused as ${kind}`, () => {
    assert.deepEqual(quoteWords(values), { ok: false, refusal: { kind, word } });
  });
}

test("a NUL and a control character within a default are never written, not even escaped", () => {
  assert.equal(quoteWord("a\0", { control: "escape" }).ok, false);
  assert.equal(quoteWord("${A-\n}", { control: "escape" }).ok, false);
});

test("the first word of a line never makes a scope line", () => {
  for (const value of ["[a]", "[a b]", "[$x'", "[\n"]) {
    const line = quoteWords([value], { control: "escape" });
    assert.ok(line.ok && !line.text.startsWith("["));
    const bytes = Buffer.from(line.text);
    assert.equal(lexWords(bytes, 0, bytes.length).words[0]!.value, value);
  }
});

const text = fc.string({
  unit: fc.oneof(fc.constantFrom(..." '\"\\#${}[]A-\u00e9"), fc.string({ minLength: 1, maxLength: 1 })),
});

test("what is written reads back", () => {
  fc.assert(
    fc.property(fc.array(text, { maxLength: 5 }), (values) => {
      const quoted = quoteWords(values, { control: "escape" });
      if (!quoted.ok) return;
      assert.doesNotMatch(quoted.text, /[\0-\x1f\x7f]/);
      const bytes = Buffer.from(quoted.text);
      const { words, error, comment } = lexWords(bytes, 0, bytes.length);
      assert.equal(error, undefined);
      assert.equal(comment, -1);
      assert.deepEqual(
        words.map((word) => word.value),
        values,
      );
    }),
    { numRuns: 5000 },
  );
});

test("any text can be written as a literal", () => {
  fc.assert(
    fc.property(text, (literal) => {
      const value = literalValue(literal);
      assert.deepEqual(parseValue(value), literal === "" ? [] : [{ kind: "literal", text: literal }]);
      assert.equal(quoteWord(value, { control: "escape" }).ok, !literal.includes("\0"));
    }),
    { numRuns: 2000 },
  );
});
