import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { applyEdits, composeEdits, decodeEdits, type Edit, encodeEdits, growth } from "./delta.ts";

const bytes = fc.uint8Array({ maxLength: 40 });

/** Edits that fit a content of the given size. */
function editsFor(size: number): fc.Arbitrary<Edit[]> {
  return fc
    .array(fc.record({ cut: fc.tuple(fc.nat(size), fc.nat(size)), bytes }), { maxLength: 5 })
    .map((parts) => {
      const offsets = parts.flatMap((part) => part.cut).sort((a, b) => a - b);
      return parts.map((part, i) => {
        const offset = offsets[2 * i] ?? 0;
        return { offset, length: (offsets[2 * i + 1] ?? 0) - offset, bytes: part.bytes };
      });
    });
}

/** The obvious way, from the end so that offsets stay right. */
function applyPlainly(base: Uint8Array, edits: readonly Edit[]): Buffer {
  return edits
    .toReversed()
    .reduce<Buffer>(
      (content, edit) =>
        Buffer.concat([
          content.subarray(0, edit.offset),
          edit.bytes,
          content.subarray(edit.offset + edit.length),
        ]),
      Buffer.from(base),
    );
}

test("edits do what cutting and pasting does, one list after another", () => {
  const scene = bytes.chain((base) =>
    editsFor(base.length).chain((first) =>
      editsFor(base.length + growth(first)).map((second) => ({ base, first, second })),
    ),
  );
  fc.assert(
    fc.property(scene, ({ base, first, second }) => {
      const middle = applyPlainly(base, first);
      assert.equal(middle.length, base.length + growth(first));
      assert.deepEqual(Buffer.from(applyEdits(base, first)), middle);
      const end = applyPlainly(middle, second);
      assert.deepEqual(Buffer.from(applyEdits(base, first, second)), end);
      assert.deepEqual(Buffer.from(applyEdits(base, composeEdits(first, second))), end);
    }),
    { numRuns: 1_000 },
  );
});

test("composing any number of lists, in any grouping, does what they do in turn", () => {
  const lists = bytes.chain((base) =>
    editsFor(base.length).chain((first) =>
      editsFor(base.length + growth(first)).chain((second) =>
        editsFor(base.length + growth(first) + growth(second)).map((third) => ({
          base,
          lists: [first, second, third] as const,
        })),
      ),
    ),
  );
  fc.assert(
    fc.property(lists, ({ base, lists: [a, b, c] }) => {
      const expected = Buffer.from(applyEdits(base, a, b, c));
      assert.deepEqual(Buffer.from(applyEdits(base, composeEdits(composeEdits(a, b), c))), expected);
      assert.deepEqual(Buffer.from(applyEdits(base, composeEdits(a, composeEdits(b, c)))), expected);
    }),
    { numRuns: 500 },
  );
});

test("stored edits come back", () => {
  fc.assert(
    fc.property(editsFor(1_000_000), (edits) => {
      assert.deepEqual(
        decodeEdits(encodeEdits(edits)).map((edit) => ({ ...edit, bytes: new Uint8Array(edit.bytes) })),
        edits,
      );
    }),
  );
  const far = [{ offset: 2 ** 40, length: 2 ** 33, bytes: Uint8Array.of(1) }];
  assert.deepEqual(
    decodeEdits(encodeEdits(far)).map((edit) => ({ ...edit, bytes: new Uint8Array(edit.bytes) })),
    far,
  );
});

test("what is not a list of edits for this content is refused", () => {
  const base = Buffer.from("0123456789");
  const x = Buffer.from("x");
  assert.throws(() => applyEdits(base, [{ offset: 9, length: 2, bytes: x }]), RangeError);
  assert.throws(() => applyEdits(base, [{ offset: 11, length: 0, bytes: x }]), RangeError);
  assert.throws(
    () =>
      applyEdits(base, [
        { offset: 4, length: 2, bytes: x },
        { offset: 5, length: 1, bytes: x },
      ]),
    RangeError,
  );
  const stored = encodeEdits([{ offset: 1, length: 1, bytes: base }]);
  assert.throws(() => decodeEdits(stored.subarray(0, stored.length - 1)), RangeError);
  assert.throws(() => decodeEdits(Buffer.concat([stored, x])), RangeError);
  assert.throws(() => decodeEdits(new Uint8Array(12).fill(0xff)), RangeError);
  assert.throws(() => decodeEdits(new Uint8Array(0)), RangeError);
});
