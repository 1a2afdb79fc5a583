import assert from "node:assert/strict";
import { test } from "node:test";
import { compileProtos } from "../../test/support/compile-proto.ts";
import { Document } from "../text/document.ts";
import { CONFIG_SECTIONS } from "../text/structure.ts";
import { checkSection } from "./check.ts";
import { editSection } from "./edit-section.ts";
import { compileSection } from "./section-codec.ts";
import type { Fields } from "./slot.ts";

const SCHEMA = `syntax = "proto3"; package test; import "haplane/grammar/v1/grammar.proto";
message Mailers {
  option (haplane.grammar.v1.section) = {keyword: "mailers"};
  repeated string hosts = 1 [
    (haplane.grammar.v1.line).keyword = "host",
    (haplane.grammar.v1.valid) = {pattern: "[a-z]+", max: 2}
  ];
  repeated string keys = 2 [
    (haplane.grammar.v1.line).keyword = "key",
    (haplane.grammar.v1.valid) = {pattern: "[a-z]+"},
    debug_redact = true
  ];
}`;

const RULES: readonly { readonly set: Record<string, string[]>; readonly says: readonly string[] }[] = [
  { set: { hosts: ["a", "b"] }, says: [] },
  { set: { hosts: ["a", "B"] }, says: ['hosts[1]: must match [a-z]+; found "B"'] },
  { set: { hosts: ["a", "b", "c"] }, says: ["hosts: must be at most 2 elements; found 3"] },
  // What is secret is not repeated in the refusal.
  { set: { keys: ["S3"] }, says: ["keys[0]: must match [a-z]+"] },
];

test("rules hold for directives with a line for each element, in new sections and in changed ones", () => {
  const registry = compileProtos({ "test/rules.proto": () => SCHEMA });
  const codec = compileSection(registry.getMessage("test.Mailers")!);
  const bytes = Buffer.from("mailers\n");
  const document = Document.parse([{ path: "", bytes }], CONFIG_SECTIONS);
  const section = document.list("mailers")[0]!;
  for (const { set, says } of RULES) {
    const message: Fields = Object.assign(codec.create(), set);
    const fields = new Set(codec.desc.fields);
    const sentences = (violations: readonly { readonly field: string; readonly description: string }[]) =>
      violations.map(({ field, description }) => `${field}: ${description}`);
    const target = { kind: "mailers", version: undefined };
    assert.deepEqual(sentences(checkSection(codec, message, target)), says);
    const edit = () => editSection(document, section, codec, message, { fields });
    if (says.length === 0) edit();
    else
      assert.throws(edit, ({ violations }: { violations: Parameters<typeof sentences>[0] }) => {
        assert.deepEqual(sentences(violations), says);
        return true;
      });
  }
});
