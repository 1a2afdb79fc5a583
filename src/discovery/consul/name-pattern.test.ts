import assert from "node:assert/strict";
import { test } from "node:test";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { compilePattern, patternViolation } from "./name-pattern.ts";

const fine = [
  "web",
  "web-.*",
  "(?:prod|stage)-.*-v[0-9]+",
  "web-[a-z]{3}",
  "[(|*+?]+",
  "a\\*b\\(c",
  "web|api|db",
  "(ab){3}",
];
for (const pattern of fine) {
  test(`takes ${pattern}`, () => assert.equal(patternViolation(pattern), undefined));
}

const refused = {
  "(a+)+": /choice in a repeated group/,
  "(a|a){50}": /choice in a repeated group/,
  "((a?)b){9}": /choice in a repeated group/,
  "a?a?a?a?aaaa": /at most 3 choices/,
  "(a|b)(a|b)(a|b)(a|b)": /at most 3 choices/,
  "(a)\\1": /back-reference/,
  "(?=a)b": /look around/,
  "a{1,999}": /beyond 100/,
  "(": /not a regular expression/,
  ")(": /not a regular expression/,
  [`${"a".repeat(257)}`]: /at most 256/,
};
for (const [pattern, reason] of Object.entries(refused)) {
  test(`refuses ${pattern.slice(0, 30)}`, () => assert.match(patternViolation(pattern) ?? "", reason));
}

test("matches whole names only", () => {
  assert.equal(compilePattern("web|api").test("web"), true);
  assert.equal(compilePattern("web|api").test("web2"), false);
  assert.equal(compilePattern("web|api").test("web\n"), false);
});

test("what is taken ends soon on the worst of names", () => {
  const part = fc.constantFrom(
    "a",
    "a*",
    "a+",
    "a?",
    "(",
    ")",
    "(?:",
    "|",
    "{2}",
    "{1,9}",
    ".",
    ".*",
    "[ab]",
    "\\w",
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 16 }), (parts) => {
      const pattern = parts.join("");
      if (patternViolation(pattern) !== undefined) return;
      const script = `new RegExp(${JSON.stringify(compilePattern(pattern).source)}, "su").test("${"a".repeat(100)}!")`;
      assert.doesNotThrow(() => runInNewContext(script, {}, { timeout: 2_000 }), pattern);
    }),
    { numRuns: 500 },
  );
});
