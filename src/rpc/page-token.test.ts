import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import fc from "fast-check";
import { ListServersRequestSchema } from "../../gen/haplane/v1/runtime_pb.js";
import { ListSourcesRequestSchema } from "../../gen/haplane/v1/service_discovery_pb.js";
import { DomainError } from "../lib/errors.ts";
import { paginate } from "./page-token.ts";

const paging = { defaultSize: 3, maxSize: 5, key: (item: string) => item };
const page = (items: readonly string[], request: MessageInitShape<typeof ListServersRequestSchema>) =>
  paginate(items, create(ListServersRequestSchema, request), paging);
const violation = (description: RegExp) => (error: unknown) => {
  assert.ok(error instanceof DomainError);
  assert.match(error.violations[0]?.description ?? "", description);
  return true;
};

test("pages of any size, put together, are the list", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.string({ unit: "grapheme" })),
      fc.integer({ min: 1, max: 9 }),
      (items, pageSize) => {
        const read: string[] = [];
        let pageToken = "";
        do {
          const { items: some, nextPageToken } = page(items, { pageSize, pageToken });
          read.push(...some);
          pageToken = nextPageToken;
        } while (pageToken !== "");
        assert.deepEqual(read, items);
      },
    ),
  );
});

test("0 asks for the default, too many for the most there is", () => {
  const items = [..."abcdefgh"];
  assert.equal(page(items, {}).items.length, 3);
  assert.equal(page(items, { pageSize: 1_000 }).items.length, 5);
  assert.throws(() => page(items, { pageSize: -1 }), violation(/negative/));
});

test("a page goes on after the last element, wherever that is now", () => {
  const { nextPageToken: pageToken } = page([..."abcdef"], {});
  assert.deepEqual(page([..."abcdef"], { pageToken }).items, [..."def"]);
  assert.deepEqual(page([..."abXcdef"], { pageToken }).items, [..."def"], "one was inserted before");
  assert.deepEqual(page([..."bcdef"], { pageToken }).items, [..."def"], "one before was removed");
  assert.deepEqual(page([..."abdef"], { pageToken }).items, [..."def"], "the last one was removed");
  assert.deepEqual(page([..."a"], { pageToken }).items, [], "nothing is left");
});

test("a token holds for its own request only", () => {
  const items = [..."abcdef"];
  const { nextPageToken: pageToken } = page(items, { parent: "backends/a" });
  assert.equal(page(items, { parent: "backends/a", pageSize: 1, pageToken }).items[0], "d");
  assert.throws(() => page(items, { parent: "backends/b", pageToken }), violation(/other fields/));
  const other = create(ListSourcesRequestSchema, { pageToken });
  assert.throws(() => paginate(items, other, paging), violation(/other fields/));
});

test("what is no token is refused", () => {
  for (const pageToken of ["x", "AAAA", "*", "A".repeat(100), "../../etc/passwd", "\u0000"]) {
    assert.throws(() => page(["a"], { pageToken }), violation(/not the next_page_token/), pageToken);
  }
});
