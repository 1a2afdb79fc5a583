import assert from "node:assert/strict";
import { test } from "node:test";
import { compileProtos } from "../../test/support/compile-proto.ts";
import { compileSection } from "./section-codec.ts";

/** A wrong schema: the body of a section message, what its lines are made of, and the sentence that stops the process. */
interface Wrong {
  readonly title: string;
  readonly fields: string;
  readonly lines?: string;
  readonly error: RegExp;
}

const WRONG: readonly Wrong[] = [
  {
    title: "two directives of one keyword",
    fields: `optional string mode = 1; optional string twice = 2 [(haplane.grammar.v1.line).keyword = "mode"];`,
    error: /^field test\.S\d+\.twice: keyword "mode" is already taken by field test\.S\d+\.mode$/,
  },
  {
    title: "two parameters of one keyword",
    fields: "repeated Line lines = 1;",
    lines: `optional string a = 1; optional string b = 2 [(haplane.grammar.v1.word).keyword = "a"];`,
    error: /^field test\.Line\d+\.b: keyword "a" is already taken by field test\.Line\d+\.a$/,
  },
  {
    title: "a version that is none",
    fields: `optional string mode = 1 [(haplane.grammar.v1.line).since = "two"];`,
    error: /^field test\.S\d+\.mode: since "two" is no version such as "2\.8"$/,
  },
  {
    title: "an option of a line on a part of one",
    fields: "repeated Line lines = 1;",
    lines: `optional string a = 1 [(haplane.grammar.v1.line).keyword = "a"];`,
    error: /^field test\.Line\d+\.a: a field of a line takes the option word, not line$/,
  },
  {
    title: "an option of a part on a directive",
    fields: `optional string a = 1 [(haplane.grammar.v1.word).keyword = "a"];`,
    error: /^field test\.S\d+\.a: a field of a section takes the option line, not word$/,
  },
  {
    title: "a flag that cannot be false",
    fields: "optional bool a = 1;",
    error:
      /^field test\.S\d+\.a: a flag is a bool; an optional bool needs negatable or a word for false \(no\)$/,
  },
  {
    title: "a negative for what is no flag",
    fields: "optional string a = 1 [(haplane.grammar.v1.line).negatable = true];",
    error: /^field test\.S\d+\.a: only an optional bool is negatable$/,
  },
  {
    title: "a kind of section that does not exist",
    fields: `optional string a = 1 [(haplane.grammar.v1.line).in = "X"];`,
    error: /^field test\.S\d+\.a: in: "X" is not one of the letters ""$/,
  },
  {
    title: "a form that does not exist",
    fields: `Line a = 1 [(haplane.grammar.v1.line).form = "nonsense"];`,
    error: /^field test\.S\d+\.a: there is no form "nonsense"$/,
  },
  {
    title: "a form for another message",
    fields: `Line a = 1 [(haplane.grammar.v1.line).form = "httpchk"];`,
    error: /^field test\.S\d+\.a: form "httpchk" is for haplane\.config\.v1\.HttpCheckRequest$/,
  },
  {
    title: "a number that could be zero without anyone seeing it",
    fields: "repeated Line lines = 1;",
    lines: "uint32 len = 1;",
    error:
      /^field test\.Line\d+\.len: zero would be the same as nothing: make it optional, or say that it is at least 1$/,
  },
  {
    title: "a directive's number that is there even when it is not set",
    fields: "uint32 len = 1;",
    error:
      /^field test\.S\d+\.len: zero would be the same as nothing: make it optional, or say that it is at least 1$/,
  },
  {
    title: "a time that is a number",
    fields: `optional uint32 a = 1 [(haplane.grammar.v1.line).type = TYPE_TIME];`,
    error: /^field test\.S\d+\.a: type TIME is for a string$/,
  },
  {
    title: "a time that is a number, in a line",
    fields: `repeated Line lines = 1;`,
    lines: `optional uint32 a = 1 [(haplane.grammar.v1.word).type = TYPE_TIME];`,
    error: /^field test\.Line\d+\.a: type TIME is for a string$/,
  },
  {
    title: "a string that is on or off",
    fields: `optional string a = 1 [(haplane.grammar.v1.line).type = TYPE_ON_OFF];`,
    error: /^field test\.S\d+\.a: only a bool is on or off$/,
  },
  {
    title: "a reference to what does not exist",
    fields: `optional string a = 1 [(haplane.grammar.v1.line).refers = "nothing"];`,
    error: /^field test\.S\d+\.a: refers: "nothing" is no kind of section, nor server, nor table$/,
  },
  {
    title: "a word for false on a message",
    fields: `Line a = 1 [(haplane.grammar.v1.line).no = "b"];`,
    error: /^field test\.S\d+\.a: type, separator, rest and no are for values, not for a message$/,
  },
  {
    title: "a separator of messages",
    fields: `repeated Line a = 1 [(haplane.grammar.v1.line).separator = ","];`,
    error: /^field test\.S\d+\.a: type, separator, rest and no are for values, not for a message$/,
  },
  {
    title: "all words that remain as messages",
    fields: `repeated Line a = 1 [(haplane.grammar.v1.line).rest = true];`,
    error: /^field test\.S\d+\.a: type, separator, rest and no are for values, not for a message$/,
  },
  {
    title: "an end before the beginning",
    fields: `optional string a = 1 [(haplane.grammar.v1.line) = {since: "3.0", until: "2.8"}];`,
    error: /^field test\.S\d+\.a: until 2\.8 does not come after since 3\.0$/,
  },
  {
    title: "a child that is a value",
    fields: `repeated string a = 1 [(haplane.grammar.v1.line).child = true];`,
    error:
      /^field test\.S\d+\.a: only the elements of a repeated message are resources of their own \(child\)$/,
  },
  {
    title: "a keyword that begins with the prefix",
    fields: `optional string a = 1 [(haplane.grammar.v1.line).keyword = "no thing"];`,
    error: /^field test\.S\d+\.a: "no" is a prefix, not the first word of a keyword$/,
  },
  {
    title: "a pattern that is none",
    fields: `optional string a = 1 [(haplane.grammar.v1.valid).pattern = "("];`,
    error: /^field test\.S\d+\.a: valid\.pattern "\(" is no regular expression$/,
  },
  {
    title: "a repeated value without a way to write it",
    fields: "repeated Line lines = 1;",
    lines: "repeated string a = 1 [(haplane.grammar.v1.word).positional = true];",
    error: /^field test\.Line\d+\.a: a repeated positional field needs separator or rest$/,
  },
  {
    title: "a suffix with nothing in front",
    fields: "repeated Line lines = 1;",
    lines: `optional uint32 port = 1 [(haplane.grammar.v1.word).suffix = ":"];`,
    error: /^field test\.Line\d+\.port: a suffix must come behind a positional field$/,
  },
  {
    title: "a separator for a single value",
    fields: `optional string a = 1 [(haplane.grammar.v1.line).separator = ","];`,
    error: /^field test\.S\d+\.a: separator and rest are for repeated fields$/,
  },
  {
    title: "a type that no word can have",
    fields: "optional double a = 1;",
    error:
      /^field test\.S\d+\.a: its proto type cannot be a word: use string, uint32, int32, bool or an enum$/,
  },
  {
    title: "a map",
    fields: "map<string, string> a = 1;",
    error: /^field test\.S\d+\.a: a map has no order, so it cannot be written$/,
  },
  {
    title: "a field to leave out that does not exist",
    fields: `repeated Line lines = 1 [(haplane.grammar.v1.line) = {without: ["b"]}];`,
    error: /^message test\.Line\d+: it has no field "b"$/,
  },
  {
    title: "a name that does not exist",
    fields: `repeated Line lines = 1 [(haplane.grammar.v1.line) = {defines: "b"}];`,
    error: /^field test\.S\d+\.lines: defines: its message has no field "b"$/,
  },
  {
    title: "a directive to stay above that does not exist",
    fields: `repeated Line lines = 1 [(haplane.grammar.v1.line) = {before: ["servers"]}];`,
    error: /^field test\.S\d+\.lines: before: there is no field "servers"$/,
  },
  {
    title: "a keyword with an empty word",
    fields: `optional string a = 1 [(haplane.grammar.v1.line).keyword = "timeout  client"];`,
    error: /^field test\.S\d+\.a: keyword "timeout {2}client" has an empty word$/,
  },
];

test("a wrong annotation stops with a sentence that names the field", async (t) => {
  const source = `syntax = "proto3"; package test; import "haplane/grammar/v1/grammar.proto";
${WRONG.map(
  ({ fields, lines }, i) => `message Line${i} { ${lines ?? "optional string a = 1;"} }
message S${i} { option (haplane.grammar.v1.section) = {keyword: "s${i}"}; ${fields.replaceAll(/\bLine\b/g, `Line${i}`)} }`,
).join("\n")}`;
  const registry = compileProtos({ "test/wrong.proto": () => source });
  for (const [i, { title, error }] of WRONG.entries())
    await t.test(title, () => {
      const desc = registry.getMessage(`test.S${i}`);
      assert.ok(desc !== undefined);
      assert.throws(
        () => compileSection(desc),
        (thrown: Error) => {
          assert.equal(thrown.name, "GrammarError");
          assert.match(thrown.message, error);
          return true;
        },
      );
    });
});
