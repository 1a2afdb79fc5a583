import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { configGrammar } from "../../src/grammar/config-grammar.ts";
import type { Directive } from "../../src/grammar/directive.ts";
import { editSection } from "../../src/grammar/edit-section.ts";
import { printLine } from "../../src/grammar/line-text.ts";
import { readSection, type SectionReading } from "../../src/grammar/read-section.ts";
import { sameValue } from "../../src/grammar/same.ts";
import { slotOf } from "../../src/grammar/slot.ts";
import { DomainError } from "../../src/lib/errors.ts";
import { Document } from "../../src/text/document.ts";
import { lineValues } from "../support/grammar-arbitraries.ts";
import { samplesOf } from "../support/grammar-samples.ts";

const codec = configGrammar().section("listen")!;
const directives = codec.directives.filter(({ syntax }) => syntax.kinds === "" || syntax.kinds.includes("L"));

/** Lines of each directive. */
const samples = samplesOf(configGrammar())
  .filter((sample) => sample.codec === codec && directives.includes(sample.directive))
  .flatMap(({ directive, value, path }) => {
    const result = printLine(directive, value, path);
    return result.ok ? [{ directive, text: String(result.text) }] : [];
  });

/** Lines of a section as people write them: those of a directive, others, unknown ones, comments, blanks, odd spacing. */
const bodies = (directive: Directive) => {
  const own = samples.filter((sample) => sample.directive === directive).map(({ text }) => text);
  return bodiesOf(
    fc.oneof(...[own, samples.map(({ text }) => text)].map((texts) => fc.constantFrom(...texts))),
  );
};

const bodiesOf = (lines: fc.Arbitrary<string>) =>
  fc
    .array(
      fc.oneof(
        { weight: 6, arbitrary: lines.map((line) => [line]) },
        {
          weight: 1,
          arbitrary: fc
            .constantFrom("", "# a comment", "frobnicate 5", ".notice hello")
            .map((line) => [line]),
        },
        {
          weight: 1,
          arbitrary: fc.array(lines, { maxLength: 3 }).map((held) => [".if defined(X)", ...held, ".endif"]),
        },
      ),
      { maxLength: 20 },
    )
    .map((pieces) => pieces.flat())
    .chain((chosen) =>
      fc
        .array(fc.constantFrom("    ", "\t", "", "  "), {
          minLength: chosen.length,
          maxLength: chosen.length,
        })
        .map((indents) =>
          chosen.map(
            (line, i) =>
              `${line === "" ? "" : indents[i]}${line}${i % 5 === 4 && line !== "" ? "   # keep" : ""}`,
          ),
        ),
    );

/** What to make of a field: other values, in place of some of the old ones or between them. */
interface Change {
  readonly directive: Directive;
  readonly values: readonly unknown[];
  readonly keep: readonly boolean[];
  readonly reverse: boolean;
}

const changes: fc.Arbitrary<Change> = fc.constantFrom(...directives).chain((directive) =>
  fc.record({
    directive: fc.constant(directive),
    values: fc.array(lineValues(directive), { maxLength: directive.repeated ? 3 : 1 }),
    keep: fc.array(fc.boolean(), { minLength: 100, maxLength: 100 }),
    reverse: fc.boolean(),
  }),
);

const cases = changes.chain((change) => bodies(change.directive).map((body) => ({ body, change })));

function target({ directive, values, keep, reverse }: Change, old: readonly unknown[]): unknown[] {
  if (!directive.repeated) return [...values];
  const kept = old.filter((_, i) => keep[i]);
  return [...(reverse ? kept.reverse() : kept), ...values];
}

test("a change of one field makes it what was asked, and leaves every other line as it was, in its place", () => {
  let changed = 0;
  fc.assert(
    fc.property(cases, ({ body, change }) => {
      const text = `listen app\n${body.map((line) => `${line}\n`).join("")}\nfrontend other\n`;
      const document = Document.parse([{ path: "haproxy.cfg", bytes: Buffer.from(text) }]);
      const section = document.find("listen", "app")[0]!;
      const before = readSection(codec, section, { children: true });
      const { directive } = change;
      const { field } = directive.syntax;
      const old = (before.lines.get(directive) ?? []).map(({ value }) => value);
      const wanted = target(change, old);
      const message = codec.create();
      if (directive.repeated) slotOf(field).set(message, wanted);
      else if (wanted.length > 0) slotOf(field).set(message, wanted[0]);
      let edited: ReturnType<typeof editSection>;
      try {
        edited = editSection(document, section, codec, message, { fields: new Set([field]) });
      } catch (error) {
        if (error instanceof DomainError) return;
        throw error;
      }
      changed++;
      const after = readSection(codec, edited.section, { children: true });
      const found = (after.lines.get(directive) ?? []).map(({ value }) => value);
      assert.equal(found.length, wanted.length);
      for (const [i, value] of found.entries()) assert.ok(sameValue(directive, value, wanted[i]));
      const others = (reading: SectionReading, whole: string[]) => {
        const own = new Set((reading.lines.get(directive) ?? []).map(({ index }) => index));
        // An unset field takes its lines that did not count as well.
        if (wanted.length === 0)
          for (const line of reading.unmodelled)
            if (line.reason.kind === "superseded" && line.directive === directive) own.add(line.index);
        return whole.filter((_, index) => !own.has(index));
      };
      assert.deepEqual(
        others(after, edited.document.print(0).toString().split("\n")),
        others(before, text.split("\n")),
      );
    }),
    { numRuns: 1500 },
  );
  assert.ok(changed > 700, `only ${changed} changes were made`);
});
