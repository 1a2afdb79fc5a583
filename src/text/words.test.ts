import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { wordCases } from "../../test/support/word-cases.ts";
import { MAX_WORDS } from "./word.ts";
import { lexWords } from "./words.ts";

function lex(line: string | Buffer) {
  const bytes = Buffer.from(line);
  return lexWords(bytes, 0, bytes.length);
}

for (const [line, values, error] of wordCases) {
  test(`words of ${JSON.stringify(line)}`, () => {
    const found = lex(line);
    assert.deepEqual(
      found.words.map((word) => word.value),
      values,
    );
    assert.deepEqual(found.error, error);
  });
}

test("a word knows its place and what kind it is", () => {
  const bytes = Buffer.from('xx\n\t a"b c"  "${V[*]}" \xe9 # c\nyy', "latin1");
  const { words, comment } = lexWords(bytes, 3, bytes.length - 2);
  assert.deepEqual(
    words.map(({ start, end, reference, expands, utf8 }) => [start, end, reference, expands, utf8]),
    [
      [2, 8, false, false, true],
      [10, 19, true, true, true],
      [20, 21, false, false, false],
    ],
  );
  assert.equal(comment, 22);
});

test("a comment may stand against a word", () => {
  assert.equal(lex("10#x").comment, 2);
  assert.equal(lex("# x").comment, 0);
  assert.equal(lex("'#'").comment, -1);
});

test("a NUL spoils the line wherever it stands", () => {
  for (const line of ["a\0b", "a # b\0", "\0", "a \0", "'a\0'", "a\\\0", '"$\0"', '"${A-\0}"'])
    assert.deepEqual(lex(line).error, { kind: "nul", offset: line.indexOf("\0") }, JSON.stringify(line));
});

test("a line has at most so many words", () => {
  const full = Array(MAX_WORDS).fill("x").join(" ");
  assert.equal(lex(full).error, undefined);
  assert.equal(lex(`${full}#`).error, undefined);
  assert.deepEqual(lex(`${full} `).error, { kind: "words", offset: full.length + 1 });
  assert.deepEqual(lex(`${full} x`).error, { kind: "words", offset: full.length + 1 });
  assert.equal(lex(`${full} x`).words.length, MAX_WORDS);
});

test("a limit reads the first words alone", () => {
  const bytes = Buffer.from("a 'b' c \"");
  assert.deepEqual(
    lexWords(bytes, 0, bytes.length, 2).words.map((word) => word.value),
    ["a", "b"],
  );
});

test("any bytes have words or an error, in order and within the line", () => {
  const byte = fc.oneof(fc.constantFrom(...Buffer.from("\0\t\n\r '\"\\#${}[*]-Ax")), fc.nat(255));
  fc.assert(
    fc.property(fc.array(byte, { maxLength: 40 }), fc.nat(3), (list, before) => {
      const bytes = Buffer.from([...Array(before).fill(39), ...list]);
      const { words, comment, error } = lexWords(bytes, before, bytes.length);
      let end = 0;
      for (const word of words) {
        assert.ok(word.start >= end && word.end > word.start);
        end = word.end;
      }
      assert.ok(end <= list.length);
      if (comment >= 0) assert.ok(comment >= end && list[comment] === 35);
      if (error !== undefined) assert.ok(error.offset >= 0 && error.offset <= list.length);
    }),
    { numRuns: 5000 },
  );
});
