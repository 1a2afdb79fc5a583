import assert from "node:assert/strict";
import { test } from "node:test";
import { Role } from "../../gen/haplane/v1/options_pb.js";
import { tokenVerifier } from "./auth.ts";
import { addToken, parseTokens, removeToken } from "./token-file.ts";

const HASH = `sha256:${"0".repeat(64)}`;

test("tokens that are added are known by name and role, and no more when they are removed", async () => {
  const text = addToken(addToken("", "mesh", "operator", "one"), "board", "viewer", "two");
  assert.doesNotMatch(text, /\b(one|two)\b/);
  const verify = tokenVerifier(parseTokens(text).records);
  assert.deepEqual(await verify({ scheme: "bearer", token: "one" }), { name: "mesh", role: Role.OPERATOR });
  assert.deepEqual(await verify({ scheme: "bearer", token: "two" }), { name: "board", role: Role.VIEWER });
  const less = parseTokens(removeToken(text, "mesh"));
  assert.deepEqual(
    less.records.map(({ caller }) => caller.name),
    ["board"],
  );
  assert.match(removeToken(text, "mesh"), /^# Tokens/, "comments stay");
});

for (const [line, problem] of [
  ["mesh operator", /is not `NAME ROLE sha256:HASH`/],
  [`mesh root ${HASH}`, /has no role; allowed are viewer, operator, editor, admin/],
  [`../x viewer ${HASH}`, /a token's name has/],
  ["mesh viewer sha256:00", /is not `NAME/],
  [`mesh viewer ${HASH} more`, /is not `NAME/],
] as const) {
  test(`refused: ${line.slice(0, 30)}`, () => {
    const { records, problems } = parseTokens(`# a comment\n\n${line}\nother viewer ${HASH}\n`);
    assert.equal(problems.length, 1);
    assert.equal(problems[0]?.line, 3);
    assert.match(problems[0]?.problem ?? "", problem);
    assert.equal(records.length, 1);
  });
}

test("a name that comes twice is refused", () => {
  const { problems } = parseTokens(`a viewer ${HASH}\na admin ${HASH}\n`);
  assert.deepEqual(problems, [{ line: 2, problem: "has the name a again" }]);
});
