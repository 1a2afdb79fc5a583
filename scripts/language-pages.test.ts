import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { bothGrammars, keywordList, languagePage } from "./language-pages.ts";

for (const [page, write] of [
  ["keywords.txt", keywordList],
  ["language.md", languagePage],
] as const)
  test(`docs/${page} is what the descriptors say; node scripts/language-pages.ts writes it anew`, () => {
    assert.equal(readFileSync(new URL(`../docs/${page}`, import.meta.url), "utf8"), write(bothGrammars()));
  });
