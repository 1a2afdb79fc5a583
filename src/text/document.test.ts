import assert from "node:assert/strict";
import { test } from "node:test";
import { Document } from "./document.ts";
import { insertLines, replaceLine, spliceLines } from "./edit.ts";
import { deleteSection, insertSection } from "./edit-sections.ts";
import { rewriteLine } from "./rewrite.ts";

function parse(text: string): Document {
  return Document.parse([{ path: "a.cfg", bytes: Buffer.from(text) }]);
}

test("smoke", () => {
  const text =
    "# banner\n\nglobal\n  maxconn 10 # x\n\n# b\nbackend b\n  server s1 1.1.1.1:80 check\n.if defined(X)\n  server s2 1.1.1.2:80\n.endif\n";
  const doc = parse(text);
  assert.equal(doc.print(0).toString(), text);
  const [b] = doc.find("backend", "b");
  assert.deepEqual(doc.positionOf(b!), { part: 0, line: 7 });
  assert.deepEqual(b!.lines.find("server", "s2"), [3]);
  assert.equal(doc.armOf(b!, 3)?.condition, "defined(X)");
  const line = b!.lines.at(1)!;
  const rewritten = rewriteLine(line, ["server", "s1", "1.1.1.9:80", "check"]);
  assert.ok(rewritten.ok);
  const e = replaceLine(doc, b!, 1, rewritten.line);
  assert.equal(e.document.print(0).toString(), text.replace("1.1.1.1", "1.1.1.9"));
  const f = insertLines(e.document, e.section, 2, ["server s9 1.1.1.1:80"]);
  assert.match(f.document.print(0).toString(), /check\n {2}server s9 1.1.1.1:80\n.if/);
  const g = insertSection(f.document, { after: f.document.list("global")[0]! }, "backend c", [
    "server x 1.1.1.1:1",
  ]);
  assert.match(g.document.print(0).toString(), /# x\n\nbackend c\n {2}server x 1.1.1.1:1\n\n# b\nbackend b/);
  const h = deleteSection(g.document, g.section);
  assert.equal(h.print(0).toString(), f.document.print(0).toString());
  assert.throws(() => spliceLines(doc, b!, 1, 0, ["backend z"]), { reason: "FIELD_INVALID" });
});
