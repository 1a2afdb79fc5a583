import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { AnswerReader, findMasterPrompt, findWorkerPrompt } from "./answer-reader.ts";

/** Feeds `bytes` cut at the given places. */
function readInPieces(reader: AnswerReader, bytes: Buffer, cuts: readonly number[]): string[] {
  const places = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].toSorted((a, b) => a - b);
  const answers: string[] = [];
  let at = 0;
  for (const place of places) {
    if (place > at) answers.push(...reader.read(bytes.subarray(at, place)));
    at = place;
  }
  return answers;
}

const answer = fc.stringMatching(/^([a-zé€😀 >+:]|\n[a-z])*\n?$/u).filter((text) => !text.includes("\n> "));

test("answers come out whole, wherever the bytes are cut", () => {
  fc.assert(
    fc.property(fc.array(answer), fc.array(fc.nat()), (answers, cuts) => {
      const bytes = Buffer.from(answers.map((text) => `${text}\n> `).join(""));
      const reader = new AnswerReader(findWorkerPrompt, 1 << 20);
      assert.deepEqual(readInPieces(reader, bytes, cuts), answers);
    }),
  );
});

test("the master's prompts, at the start, after an answer and after a failed reload", () => {
  const bytes = Buffer.from("master> #<PID>\n1 master\n\nmaster[ReloadFailed]> x\nmaster(xed)> ");
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    const reader = new AnswerReader(findMasterPrompt, 1 << 20);
    assert.deepEqual(readInPieces(reader, bytes, [cut]), ["", "#<PID>\n1 master\n", "x"]);
  }
});

test("an answer beyond the bound is refused", () => {
  const reader = new AnswerReader(findWorkerPrompt, 10);
  reader.read(Buffer.from("12345"));
  assert.throws(() => reader.read(Buffer.from("678901")), RangeError);
});
