import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { EventSchema, WatchResponseSchema } from "../../gen/haplane/v1/events_pb.js";
import { decodeCursor, encodeCursor } from "./cursor.ts";
import { MessageEncoder } from "./watch-message.ts";

const position = fc.tuple(fc.maxSafeNat(), fc.maxSafeNat()).map(([seq, revision]) => ({ seq, revision }));

test("what is put together by hand is what the generated code encodes", () => {
  const events = fc
    .array(fc.string({ maxLength: 300 }), { maxLength: 5 })
    .map((names) => names.map((resource) => create(EventSchema, { resource })));
  const encoder = new MessageEncoder("an-epoch");
  fc.assert(
    fc.property(
      fc.constantFrom("events" as const, "bookmark" as const, "partial" as const),
      events,
      position,
      (kind, list, through) => {
        const { bytes, message } = encoder.encode(
          kind,
          list.map((event) => toBinary(EventSchema, event)),
          through,
        );
        const expected = create(WatchResponseSchema, {
          events: list,
          cursor: kind === "partial" ? "" : encodeCursor("an-epoch", through),
          revision: kind === "partial" ? 0n : BigInt(through.revision),
          bookmark: kind === "bookmark",
          partial: kind === "partial",
        });
        assert.deepEqual(Buffer.from(bytes), Buffer.from(toBinary(WatchResponseSchema, expected)));
        assert.deepEqual(message, fromBinary(WatchResponseSchema, bytes));
      },
    ),
  );
});

test("a cursor names its place, and is one of its epoch alone", () => {
  fc.assert(
    fc.property(
      position,
      fc.string({ maxLength: 30 }),
      fc.string({ maxLength: 30 }),
      (place, epoch, other) => {
        assert.deepEqual(decodeCursor(epoch, encodeCursor(epoch, place)), place);
        if (epoch !== other) assert.throws(() => decodeCursor(other, encodeCursor(epoch, place)));
      },
    ),
  );
});

test("nothing that was not a cursor is taken for one", () => {
  const cursor = encodeCursor("epoch", { seq: 300, revision: 7 });
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.nat(cursor.length - 1).map((n) => cursor.slice(0, n)),
      ),
      (text) => {
        assert.throws(() => decodeCursor("epoch", text), { reason: "CURSOR_FOREIGN" });
      },
    ),
  );
});
