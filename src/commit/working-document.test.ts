import assert from "node:assert/strict";
import { test } from "node:test";
import { editServer } from "../config/server-edits.ts";
import { Document } from "../text/document.ts";
import type { Edit } from "./edit.ts";
import { WorkingDocument } from "./working-document.ts";

const TEXT = "backend web\n    server a 127.0.0.1:1 id 1\n    server b 127.0.0.1:2 id 2\n";
const parse = (text: string) => Document.parse([{ path: "haproxy.cfg", bytes: Buffer.from(text) }]);
const print = (document: Document) => document.print(0).toString();

function weigh(name: string, weight: number): Edit {
  return {
    apply: (document) => editServer(document, "web", { kind: "set-weight", name, weight }),
    resources: [`backends/web/servers/${name}`],
    author: "test",
    message: `weighs ${name}`,
    servers: [],
  };
}

test("an edit that cannot be made changes nothing", () => {
  const working = new WorkingDocument(parse(TEXT));
  assert.throws(() => working.apply(weigh("missing", 1)), { reason: "RESOURCE_NOT_FOUND" });
  assert.equal(print(working.current), TEXT);
  assert.equal(working.position, 0);
});

test("taking a group back leaves what others did since", () => {
  const working = new WorkingDocument(parse(TEXT));
  working.apply(weigh("a", 5));
  const pin = working.pin();
  const group = weigh("b", 7);
  working.apply(group);
  working.apply(weigh("a", 6));
  assert.deepEqual(pin.takeBack(new Set([group])), []);
  assert.equal(print(working.current), TEXT.replace("id 1", "id 1 weight 6"));
  assert.equal(working.since(pin.position).length, 1);
});

test("what is pinned moves along when something before it is taken back", () => {
  const working = new WorkingDocument(parse(TEXT));
  const [first, second] = [weigh("a", 5), weigh("b", 7)];
  const before = working.pin();
  working.apply(first);
  const between = working.pin();
  working.apply(second);
  working.apply(weigh("a", 6));
  before.takeBack(new Set([first]));
  assert.ok(between.canTakeBack(second));
  between.takeBack(new Set([second]));
  assert.equal(print(working.current), TEXT.replace("id 1", "id 1 weight 6"));
});

test("what an edit by hand was adopted on top of is not taken back with it", () => {
  const working = new WorkingDocument(parse(TEXT));
  const [recorded, since] = [weigh("a", 5), weigh("b", 7)];
  const pin = working.pin();
  working.apply(recorded);
  const written = working.position;
  working.apply(since);
  const found = `# by hand\n${print(working.current).replace(" weight 7", "")}`;
  working.rebase(parse(found), written);
  assert.ok(!pin.canTakeBack(recorded));
  pin.takeBack(new Set([recorded, since]));
  assert.equal(print(working.current), found);
});

test("edits that do not fit a new base are given back, the others are made on it", () => {
  const working = new WorkingDocument(parse(TEXT));
  working.apply(weigh("a", 5));
  working.apply(weigh("b", 7));
  const lost = working.rebase(
    parse("# by hand\nbackend web\n    server b 127.0.0.1:2 id 2 check # mine\n"),
    0,
  );
  assert.deepEqual(
    lost.map(({ message }) => message),
    ["weighs a"],
  );
  assert.equal(
    print(working.current),
    "# by hand\nbackend web\n    server b 127.0.0.1:2 id 2 check weight 7 # mine\n",
  );
});

test("what was forgotten is not replayed", () => {
  const working = new WorkingDocument(parse(TEXT));
  working.apply(weigh("a", 5));
  const written = working.position;
  working.forget(written);
  working.apply(weigh("b", 7));
  assert.deepEqual(
    working.since(written).map(({ message }) => message),
    ["weighs b"],
  );
});
