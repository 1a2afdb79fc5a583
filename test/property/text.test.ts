import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Document } from "../../src/text/document.ts";
import { type Edited, insertLines, replaceHeader, spliceLines } from "../../src/text/edit.ts";
import { deleteSection, insertSection } from "../../src/text/edit-sections.ts";
import { rewriteLine } from "../../src/text/rewrite.ts";
import type { Section } from "../../src/text/section.ts";

/** Documents are read in pieces of this many lines and sections, so tests need more than a few of them. */
const MANY = 400;

const wildBytes = fc
  .array(
    fc.oneof(
      fc.constantFrom(...[..."\0\r\n\n\t \"'\\#$[].{}"].map((character) => Buffer.from(character))),
      fc.constantFrom(
        ...[
          "backend b\n",
          "global\n",
          "\n.if 1\n",
          "\n.else\n",
          "\n.endif\n",
          "[s]\n",
          "server s 1.1.1.1:1\n",
          "'backend' x\n",
        ].map((text) => Buffer.from(text)),
      ),
      fc.uint8Array({ maxLength: 6 }).map((bytes) => Buffer.from(bytes)),
    ),
    { maxLength: 60 },
  )
  .map((pieces) => Buffer.concat(pieces));

test("any bytes come back, and nothing that is read from them throws", () => {
  fc.assert(
    fc.property(fc.array(wildBytes, { minLength: 1, maxLength: 3 }), (files) => {
      const document = Document.parse(files.map((bytes, i) => ({ path: `${i}`, bytes })));
      files.forEach((bytes, part) => {
        assert.deepEqual(document.print(part), bytes);
        let line = 0;
        for (const section of document.sections(part)) {
          assert.deepEqual(document.positionOf(section), { part, line: line + 1 });
          for (const found of section.lines) {
            line++;
            assert.ok(found.words.length >= 0 && found.text.length >= 0 && found.indentation.length >= 0);
            document.armsIn(part).at(line);
            const values = found.words.map((word) => word.value);
            // Rewriting a line with its own words changes nothing.
            if (found.error === undefined && found.words.every((word) => word.utf8)) {
              const same = rewriteLine(found, values);
              if (same.ok)
                assert.deepEqual(Buffer.concat([same.line, Buffer.from(found.newline)]), found.bytes);
            }
          }
        }
        assert.equal(line, document.lineCount(part));
      });
    }),
    { numRuns: 1500 },
  );
});

/** What can be said of a document, for comparing one that was edited with one that was read. */
function describe(document: Document): unknown {
  return document.parts.map((_, part) => {
    const arms = document.armsIn(part);
    return {
      errors: arms.errors,
      sections: Array.from(document.sections(part), (section) => {
        const { line } = document.positionOf(section);
        return {
          keyword: section.keyword,
          name: section.name,
          from: section.from,
          marks: section.marks,
          line,
          lines: Array.from(section.lines, (found, index) => {
            assert.equal(document.placeAt({ part, line: line + index })?.index, index);
            return [found.bytes.toString("latin1"), arms.at(line + index)?.line];
          }),
        };
      }),
    };
  });
}

function assertSound(document: Document): void {
  const files = document.parts.map(({ path }, part) => ({ path, bytes: document.print(part) }));
  const read = Document.parse(files);
  assert.deepEqual(describe(document), describe(read));
  for (const section of document.sections()) {
    assert.equal(document.current(section), section);
    assert.ok(document.find(section.keyword, section.name).includes(section));
    assert.ok(document.list(section.keyword).includes(section));
    assert.equal(
      document.find(section.keyword, section.name).length,
      read.find(section.keyword, section.name).length,
    );
    for (const index of [1, section.length - 1]) {
      const [first, second] = section.lines.at(index)?.words ?? [];
      if (first !== undefined && first.value !== "")
        assert.ok(section.lines.find(first.value, second?.value).includes(index));
    }
  }
}

const line = fc.oneof(
  fc.nat(30).map((i) => `  server s${i} 1.1.1.1:${i}`),
  fc.constantFrom("", "  # comment", "  mode http # why", "\toption httplog"),
);
const structure = fc.oneof(
  fc.nat(12).map((i) => `backend b${i}`),
  fc.constantFrom(
    "global",
    "defaults d",
    "frontend f from d",
    ".if defined(X)",
    ".elif 1",
    ".else",
    ".endif",
    "[scope]",
    "# x",
  ),
);
const file = fc
  .tuple(
    fc.array(fc.oneof({ weight: 5, arbitrary: line }, { weight: 1, arbitrary: structure }), {
      maxLength: 60,
    }),
    fc.constantFrom("\n", "\r\n"),
    fc.boolean(),
  )
  .map(([lines, newline, ended]) =>
    Buffer.from(lines.join(newline) + (ended && lines.length > 0 ? newline : "")),
  );

type Operation = readonly [kind: number, which: number, at: number, count: number, lines: readonly string[]];
const operation: fc.Arbitrary<Operation> = fc.tuple(
  fc.nat(5),
  fc.nat(),
  fc.nat(),
  fc.nat(6),
  fc.array(line, { maxLength: 4 }),
);

/** Applies an operation; undefined when it is refused. */
function apply(document: Document, [kind, which, at, count, lines]: Operation): Document | undefined {
  const sections = [...document.sections()];
  const section = sections[which % sections.length]!;
  const first = section.keyword === "" ? 0 : 1;
  const start = first + (at % Math.max(section.length - first + 1, 1));
  const deleteCount = Math.min(count, section.length - start);
  const edit = (make: () => Edited): Document | undefined => {
    try {
      const edited = make();
      assert.equal(edited.document.current(edited.section), edited.section);
      return edited.document;
    } catch (error) {
      assert.equal((error as { reason?: string }).reason, "FIELD_INVALID");
      return undefined;
    }
  };
  switch (kind) {
    case 0:
    case 1:
      return edit(() => spliceLines(document, section, start, deleteCount, lines));
    case 2:
      return edit(() =>
        insertLines(
          document,
          section,
          start,
          lines.map((text) => text.trimStart()),
        ),
      );
    case 3:
      return edit(() => insertSection(document, { after: section }, `backend n${at % 20}`, lines));
    case 4:
      if (section.keyword === "") return undefined;
      return edit(() => {
        const changed = deleteSection(document, section);
        return { document: changed, section: changed.last(0) };
      });
    default:
      if (section.keyword === "") return undefined;
      return edit(() => replaceHeader(document, section, `${section.keyword} r${at % 20}`));
  }
}

test("a document that was edited is the same as one that was read", () => {
  fc.assert(
    fc.property(
      fc.array(file, { minLength: 1, maxLength: 3 }),
      fc.array(operation, { maxLength: 12 }),
      (files, operations) => {
        const original = Document.parse(files.map((bytes, i) => ({ path: `${i}`, bytes })));
        let document = original;
        for (const step of operations) document = apply(document, step) ?? document;
        assertSound(document);
        for (const [part, bytes] of files.entries()) assert.deepEqual(original.print(part), bytes);
      },
    ),
    { numRuns: 400 },
  );
});

test("line edits do what they do to an array of lines", () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60 }), fc.boolean(), (operations, indexed) => {
      let model = Array.from({ length: MANY }, (_, i) => `  server s${i} 1.1.1.1:${i}`);
      let document = Document.parse([{ path: "a", bytes: Buffer.from(`backend b\n${model.join("\n")}\n`) }]);
      for (const [, which, at, count, lines] of operations) {
        const section: Section = document.list("backend")[0]!;
        if (indexed) section.lines.find("server", `s${which % MANY}`);
        const start = at % (model.length + 1);
        const deleteCount = Math.min(count === 6 ? at % 150 : count, model.length - start);
        const added =
          count >= 5 ? Array.from({ length: which % 100 }, (_, i) => `  server n${i} 1.1.1.1:1`) : lines;
        document = spliceLines(document, section, start + 1, deleteCount, added).document;
        model = model.toSpliced(start, deleteCount, ...added);
      }
      assert.equal(document.print(0).toString(), ["backend b", ...model, ""].join("\n"));
      const [section] = document.list("backend");
      for (let i = 0; i < MANY; i += 37) {
        const expected = model.flatMap((text, index) =>
          text.startsWith(`  server s${i} `) ? [index + 1] : [],
        );
        assert.deepEqual(section!.lines.find("server", `s${i}`), expected);
      }
      for (let i = 0; i < 100; i += 9) {
        const expected = model.flatMap((text, index) =>
          text.startsWith(`  server n${i} `) ? [index + 1] : [],
        );
        assert.deepEqual(section!.lines.find("server", `n${i}`), expected);
      }
    }),
    { numRuns: 300 },
  );
});

test("section edits do what they do to an array of sections", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(), fc.nat(MANY)), { maxLength: 400 }), (steps) => {
      let model = Array.from({ length: MANY }, (_, i) => `b${i}`);
      let document = Document.parse([
        { path: "a", bytes: Buffer.from(model.map((name) => `backend ${name}\n  mode tcp\n`).join("")) },
      ]);
      for (const [insert, at, number] of steps) {
        const index = at % Math.max(model.length, 1);
        const name = model[index];
        if (name === undefined) continue;
        const section = document
          .find("backend", name)
          .find((found) => document.positionOf(found).line === index * 2 + 1)!;
        if (insert) {
          document = insertSection(document, { after: section }, `backend b${number}`, ["mode tcp"]).document;
          // The last section is set apart by a blank line; take it out to keep the model simple.
          if (index === model.length - 1) {
            const [again] = [document.neighbour(document.last(0), -1)!];
            document = spliceLines(document, again, again.length - 1, 1, []).document;
          }
          model = model.toSpliced(index + 1, 0, `b${number}`);
        } else {
          document = deleteSection(document, section);
          model = model.toSpliced(index, 1);
        }
      }
      assert.deepEqual(
        document.list("backend").map(({ name }) => name),
        model,
      );
      assert.equal(
        document.print(0).toString(),
        model.map((name) => `backend ${name}\n  mode tcp\n`).join(""),
      );
      for (let i = 0; i <= MANY; i += 23)
        assert.equal(
          document.find("backend", `b${i}`).length,
          model.filter((name) => name === `b${i}`).length,
        );
    }),
    { numRuns: 60 },
  );
});
