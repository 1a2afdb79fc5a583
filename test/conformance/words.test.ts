import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { quoteWords } from "../../src/text/quote.ts";
import { parseValue } from "../../src/text/value.ts";
import { MAX_WORDS } from "../../src/text/word.ts";
import { lexWords } from "../../src/text/words.ts";
import { alertsOf, wordsByHaproxy } from "../support/haproxy-words.ts";
import { wordCases } from "../support/word-cases.ts";

const env: Record<string, string> = { A: "a b", L: "one  two three", E: "" };
const random = { numRuns: 1, seed: 20_06_12 };

/** What HAProxy makes of our words: references replaced, an empty word ends the list. */
function resolve(line: Buffer, number: number): string[] {
  const words: string[] = [];
  for (const { value } of lexWords(line, 0, line.length).words) {
    let word = "";
    for (const { kind, text } of parseValue(value)!) {
      if (kind === "literal") {
        word += text;
        continue;
      }
      const [, name, list, fallback] = /^\$\{([\w.]+)(\[\*\])?(?:-(.*))?\}$/s.exec(text)!;
      const found =
        name === ".LINE" ? String(number) : name === ".SECTION" ? "f" : (env[name!] ?? fallback ?? "");
      if (list === undefined) word += found;
      else {
        const [first, ...rest] = found.split(/[\t-\r ]+/);
        word += first;
        for (const next of rest) {
          words.push(word);
          word = next;
        }
      }
    }
    words.push(word);
  }
  const end = words.indexOf("");
  return end < 0 ? words : words.slice(0, end);
}

/** The line of the configuration that `wordsByHaproxy` puts its first line on. */
const FIRST_LINE = 8;

const alertKinds: readonly [RegExp, string][] = [
  [/unmatched quote at position (\d+)/, "quote"],
  [/unmatched brace in environment variable name at position (\d+)/, "brace"],
  [/forbidden first char in environment variable name at position (\d+)/, "variable"],
  [/truncated or invalid hexadecimal sequence at position (\d+)/, "hex"],
  [/truncated or invalid word expansion sequence at position (\d+)/, "expansion"],
  [/too many words, truncating/, "words"],
  [/Stray NUL character at position (\d+)/, "nul"],
];

async function assertRefusedAlike(lines: readonly Buffer[]): Promise<void> {
  const config = Buffer.concat(
    ["global\n", ...lines.flatMap((line) => [line, "\n"]), "#\n"].map((text) => Buffer.from(text)),
  );
  const alerts = new Map((await alertsOf(config, env)).map(({ line, message }) => [line, message]));
  lines.forEach((line, index) => {
    const message = alerts.get(index + 2);
    const found = alertKinds.find(([pattern]) => pattern.test(message ?? ""));
    const { error } = lexWords(line, 0, line.length);
    const about = `${JSON.stringify(line.toString("latin1"))}: HAProxy says ${message}`;
    assert.equal(error?.kind, found?.[1], about);
    const position = found?.[0].exec(message!)?.[1];
    // HAProxy counts from 1, and finds the NUL only when it meets the rest of the line.
    if (position !== undefined && error!.kind !== "nul")
      assert.equal(error!.offset + 1, Number(position), about);
  });
}

test("words are those that HAProxy finds", async () => {
  const lines = wordCases.filter(([, , error]) => error === undefined).map(([line]) => Buffer.from(line));
  const found = await wordsByHaproxy(lines, env);
  lines.forEach((line, index) => {
    const expected = resolve(line, FIRST_LINE + index);
    // Bytes that are not UTF-8 show as replacement characters in a value.
    const actual = found[index]!.map((word) => Buffer.from(word, "latin1").toString());
    assert.deepEqual(actual, expected, JSON.stringify(line.toString()));
  });
});

test("lines are refused that HAProxy refuses", async () => {
  const lines = wordCases.filter(([, , error]) => error !== undefined).map(([line]) => Buffer.from(line));
  await assertRefusedAlike(lines);
  await assertRefusedAlike(
    [MAX_WORDS, MAX_WORDS + 1].flatMap((count) => {
      const line = Array(count).fill("x").join(" ");
      return [line, `${line} `, `${line} #`, `${line}#`, `  ${line}`].map((text) => Buffer.from(text));
    }),
  );
  await assertRefusedAlike([Buffer.from("a\0b")]);
  await assertRefusedAlike([Buffer.from("a # b\0")]);
});

const pieces = fc.constantFrom(
  ..." \t\r'\"\\#$${}[]-*AaLNx41n.",
  '"${A}"',
  '"${L[*]}"',
  '"${N-d}"',
  "'\\\\'",
  "\\x41",
  "\xe9",
);

function randomLines(count: number): Buffer[] {
  return fc.sample(
    fc.array(pieces, { maxLength: 24 }).map((parts) => Buffer.from(parts.join(""), "latin1")),
    { ...random, numRuns: count },
  );
}

test("random lines split as HAProxy splits them", async () => {
  const lines = randomLines(3000);
  const sound = lines.filter((line) => lexWords(line, 0, line.length).error === undefined);
  assert.ok(sound.length > 500, `${sound.length} lines without error`);
  const found = await wordsByHaproxy(sound, env);
  sound.forEach((line, index) => {
    const expected = resolve(line, FIRST_LINE + index);
    const actual = found[index]!.map((word) => Buffer.from(word, "latin1").toString());
    assert.deepEqual(actual, expected, JSON.stringify(line.toString("latin1")));
  });
});

test("random lines are refused as HAProxy refuses them", async () => {
  const broken = randomLines(3000).filter(
    (line) =>
      lexWords(line, 0, line.length).error !== undefined && !/^[\t-\r ]*\[/.test(line.toString("latin1")),
  );
  assert.ok(broken.length > 500);
  // HAProxy stops at fifty errors.
  for (let i = 0; i < 12; i++) await assertRefusedAlike(broken.slice(i * 45, (i + 1) * 45));
});

test("what we quote reads back to the same values", async () => {
  const value = fc.string({ unit: "binary", minLength: 1, maxLength: 12 });
  const sharp = fc.string({
    unit: fc.constantFrom(..." \t\n\r'\"\\#${}[]ax1\u00e9"),
    minLength: 1,
    maxLength: 12,
  });
  const lists = fc.sample(fc.array(fc.oneof(value, sharp), { minLength: 1, maxLength: 4 }), {
    ...random,
    numRuns: 3000,
  });
  const written = lists.flatMap((values) => {
    const quoted = quoteWords(values, { control: "escape" });
    return quoted.ok ? [{ values, line: Buffer.from(quoted.text) }] : [];
  });
  assert.ok(written.length > 1500, `${written.length} lists could be written`);
  const found = await wordsByHaproxy(
    written.map(({ line }) => line),
    env,
  );
  written.forEach(({ values, line }, index) => {
    const actual = found[index]!.map((word) => Buffer.from(word, "latin1").toString());
    assert.deepEqual(actual, resolve(line, 0), line.toString());
    assert.deepEqual(
      lexWords(line, 0, line.length).words.map((word) => word.value),
      values,
    );
  });
});
