import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Content } from "./content.ts";

/** A text of few letters, long enough now and then for more than one comparison, cut into pieces at random. */
const text = fc
  .tuple(fc.string({ maxLength: 8, unit: fc.constantFrom("a", "b") }), fc.nat({ max: 40_000 }))
  .map(([letters, times]) => letters.repeat(times));
const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 5 });

function cut(whole: Buffer, at: readonly number[]): Content {
  const places = [0, ...at.map((part) => Math.floor(part * whole.length)), whole.length].sort(
    (a, b) => a - b,
  );
  return new Content(places.slice(1).map((to, index) => whole.subarray(places[index], to)));
}

test("in how many pieces a content is makes no difference", () => {
  fc.assert(
    fc.property(text, cuts, cuts, fc.nat(), fc.nat(), (letters, ours, theirs, some, other) => {
      const whole = Buffer.from(letters);
      const one = cut(whole, ours);
      assert.equal(one.length, whole.length);
      assert.ok(one.bytes.equals(whole));
      assert.ok(Buffer.concat([...one.blocks()]).equals(whole));
      assert.ok(one.equals(cut(whole, theirs)));
      assert.ok(one.equals(cut(Buffer.from(letters), theirs)));
      const [from, to] = [some % (whole.length + 1), other % (whole.length + 1)].sort((a, b) => a - b);
      const stretch = one.slice(from!, to!);
      assert.ok(stretch.equals(whole.subarray(from, to)));
      assert.ok(one.hasAt(from!, stretch));
      assert.equal(one.hasAt(from!, Buffer.concat([stretch, Buffer.from("c")])), false);
    }),
    { numRuns: 60 },
  );
});

test("what two contents share at both ends is found across their pieces", () => {
  fc.assert(
    fc.property(text, text, cuts, cuts, fc.boolean(), (head, tail, ours, theirs, isShared) => {
      const letters = Buffer.from(`${head}X${tail}`);
      const other = Buffer.from(letters);
      other[head.length] = 89;
      // The same memory but for one piece, or all of it apart.
      const changed = isShared
        ? new Content([letters.subarray(0, head.length), Buffer.from("Y"), letters.subarray(head.length + 1)])
        : cut(other, theirs);
      const one = cut(letters, ours);
      assert.equal(one.commonHead(changed, letters.length), head.length);
      assert.equal(one.commonTail(changed, letters.length), tail.length);
      assert.equal(one.commonHead(changed, Math.floor(head.length / 2)), Math.floor(head.length / 2));
      assert.equal(one.equals(changed), false);
    }),
    { numRuns: 60 },
  );
});

test("a content of one piece is not copied", () => {
  const whole = Buffer.from("global\n");
  assert.equal(Content.of(whole).bytes.buffer, whole.buffer);
  assert.equal(Content.EMPTY.bytes.length, 0);
});
