import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { keyOf, plainKey } from "./hints.ts";
import { Lines } from "./lines.ts";
import { type Source, splitLines } from "./source.ts";
import { lexWords } from "./words.ts";

function servers(from: number, count: number): Source {
  return splitLines(Buffer.from(Array.from({ length: count }, (_, i) => `server s${from + i}\n`).join("")));
}

function linesOf(source: Source): Lines {
  return Lines.of(source, 0, source.starts.length - 1);
}

function assertFound(lines: Lines): void {
  let index = 0;
  for (const line of lines)
    assert.deepEqual(lines.find("server", line.words[1]!.value), [index++], line.text);
}

test("lines that an edit moves to another chunk are still found", () => {
  const original = linesOf(servers(0, 1000));
  assertFound(original);
  const sizes = Array.from(original.chunks, ({ length }) => length);
  // Makes the third chunk nearly as large as one may be, then takes away what stands before it and its first line.
  const [first, second] = sizes as [number, number];
  const grown = original.splice(first + second + 1, 0, servers(2000, first - 4));
  const cut = grown.splice(first - 12, second + 13, linesOf(servers(0, 0)).toSource());
  assertFound(grown);
  assertFound(cut);
  assertFound(original);
});

test("an edit keeps the chunks that it does not touch", () => {
  const original = linesOf(servers(0, 1000));
  const before = new Set(original.chunks);
  const after = [...original.splice(500, 1, servers(2000, 1)).chunks];
  assert.equal(after.filter((chunk) => !before.has(chunk)).length, 1);
});

test("chunks stay of a handy size", () => {
  let lines = linesOf(servers(0, 500));
  for (let i = 0; i < 400; i++) lines = lines.splice(250, 0, servers(1000 + i, 1));
  for (let i = 0; i < 700; i++) lines = lines.splice((i * 7) % lines.length, 1, servers(0, 0));
  const sizes = Array.from(lines.chunks, ({ length }) => length);
  assert.equal(lines.length, 200);
  assert.ok(Math.max(...sizes) <= 64 && sizes.length <= 40, `${sizes}`);
});

test("huge lines stand in chunks of their own", () => {
  const source = splitLines(Buffer.from(`a\n${"x".repeat(1 << 20)}\nb\nc\n`));
  assert.deepEqual(
    Array.from(linesOf(source).chunks, ({ length }) => length),
    [1, 1, 2],
  );
});

test("the key off a line's bytes is that of its words, or none", () => {
  const piece = fc.constantFrom(..."ab:/-~ \t\v\r\n#\"'\\$\0é");
  let told = 0;
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const text = ` s ${pieces.join("")}\n`;
      const bytes = Buffer.from(text.slice(0, text.indexOf("\n") + 1));
      const key = plainKey(bytes, 0, bytes.length);
      if (key === undefined) return;
      told++;
      const [first, second] = lexWords(bytes, 0, bytes.length, 2).words;
      assert.equal(key, keyOf(first!.value, second!.value));
    }),
    { numRuns: 2_000 },
  );
  assert.ok(told > 100, `${told} keys were told`);
});
