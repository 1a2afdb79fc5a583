import assert from "node:assert/strict";
import { test } from "node:test";
import { fencedBlocks } from "./markdown.ts";

test("fenced blocks come with their language and where they begin", () => {
  const page = ["# Title", "```sh", "one", "", "two", "```", "`in a line` ```", "```", "plain", "```", ""];
  assert.deepEqual(fencedBlocks(page.join("\n")), [
    { language: "sh", text: "one\n\ntwo\n", line: 3 },
    { language: "", text: "plain\n", line: 9 },
  ]);
});
