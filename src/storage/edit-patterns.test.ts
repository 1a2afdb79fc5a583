import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { mergePatterns } from "./edit-patterns.ts";
import type { EntryChange, LoadedEntry } from "./live.ts";
import { readPatterns } from "./pattern-lines.ts";
import { planPatterns } from "./plan-patterns.ts";

const key = fc.constantFrom("a", "b", "c", "d");
const value = fc.constantFrom("1", "2", "two words");
const entries = fc.array(fc.record({ key, value }), { maxLength: 8 });
const line = fc.oneof(
  fc.tuple(key, value).map(([k, v]) => `${k}   ${v}`),
  fc.constantFrom("# comment", "", "\ta\t1"),
);

/** What HAProxy makes of changes. */
function applied(loaded: readonly LoadedEntry[], changes: readonly EntryChange[]): LoadedEntry[] {
  let result = [...loaded];
  for (const change of changes) {
    if (change.kind === "add")
      result.push({ ref: `new ${result.length}`, key: change.key, value: change.value });
    else if (change.kind === "delete") result = result.filter(({ ref }) => ref !== change.ref);
    else
      result = result.map((entry) => (entry.ref === change.ref ? { ...entry, value: change.value } : entry));
  }
  return result;
}

const bare = (list: readonly { readonly key: string; readonly value: string }[]) =>
  list.map((entry) => [entry.key, entry.value]);
const withRefs = (list: readonly { readonly key: string; readonly value: string }[]) =>
  list.map((entry, index) => ({ ...entry, ref: `0x${index}` }));

test("a plan leads to the wanted entries, in their order where it counts", () => {
  fc.assert(
    fc.property(entries, entries, fc.boolean(), (before, wanted, ordered) => {
      const result = bare(applied(withRefs(before), planPatterns(withRefs(before), wanted, ordered)));
      if (ordered) assert.deepEqual(result, bare(wanted));
      else assert.deepEqual(result.toSorted(), bare(wanted).toSorted());
    }),
  );
});

test("a merged text reads as what HAProxy has, keeps its comments, and is the same text when nothing differs", () => {
  fc.assert(
    fc.property(fc.array(line, { maxLength: 10 }), entries, (lines, loaded) => {
      const text = lines.map((one) => `${one}\n`).join("");
      const merged = mergePatterns("map", text, loaded);
      assert.deepEqual(bare(readPatterns("map", merged)), bare(loaded));
      const comments = (of: string) => of.split("\n").filter((one) => one.startsWith("#")).length;
      assert.equal(comments(merged), comments(text));
      assert.equal(mergePatterns("map", text, readPatterns("map", text)), text);
    }),
  );
});
