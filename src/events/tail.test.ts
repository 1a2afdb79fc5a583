import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type RecentEntry, Tail } from "./tail.ts";

test("a tail holds the newest entries within its bounds, and finds what a watcher lacks", () => {
  const limits = { bytes: 200, entries: 8 };
  const pushes = fc.array(fc.record({ durable: fc.boolean(), size: fc.integer({ min: 1, max: 90 }) }), {
    maxLength: 60,
  });
  fc.assert(
    fc.property(pushes, fc.nat(70), fc.nat(70), (list, index, seq) => {
      const tail = new Tail(limits, { seq: 10, revision: 0 });
      const all: RecentEntry[] = [];
      let held: RecentEntry[] = [];
      let newest = 10;
      for (const { durable, size } of list) {
        if (durable) newest += 2;
        const events = [{ kind: 1, resource: "a", bytes: new Uint8Array(size) }];
        const { entry, evicted } = tail.push({ durable, through: { seq: newest, revision: 0 }, events });
        assert.equal(entry.index, all.length);
        all.push(entry);
        held = [...held, entry].filter((each) => !evicted.includes(each));
        const lost = all.slice(0, all.length - held.length);
        assert.deepEqual(held, all.slice(lost.length));
        const bytes = held.reduce((sum, each) => sum + each.size, 0);
        assert.equal(tail.bytes, bytes);
        assert.ok(bytes <= limits.bytes && held.length <= limits.entries);
        const covered = lost.findLast((each) => each.durable)?.through.seq ?? 10;
        assert.equal(tail.covers(covered), true);
        assert.equal(tail.covers(covered - 1), false);
      }
      assert.equal(tail.end, all.length);
      const lacking = held.filter((each) => (each.durable ? each.through.seq > seq : each.index >= index));
      assert.deepEqual(tail.after(seq, index, 1_000), lacking);
      assert.deepEqual(tail.after(seq, index, 3), lacking.slice(0, 3));
    }),
    { numRuns: 500 },
  );
});
