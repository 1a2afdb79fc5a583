import assert from "node:assert/strict";
import { type DescField, type DescMessage, fromJson, type JsonObject, toJson } from "@bufbuild/protobuf";
import { configGrammar } from "../../src/grammar/config-grammar.ts";
import { editSection } from "../../src/grammar/edit-section.ts";
import { printSection } from "../../src/grammar/print-section.ts";
import type { SectionCodec } from "../../src/grammar/section-codec.ts";
import { sectionMessage } from "../../src/grammar/section-message.ts";
import type { Fields } from "../../src/grammar/slot.ts";
import { spoeGrammar } from "../../src/grammar/spoe-grammar.ts";
import { parseBranch } from "../../src/grammar/version.ts";
import { DomainError } from "../../src/lib/errors.ts";
import { Document } from "../../src/text/document.ts";
import type { Section } from "../../src/text/section.ts";
import { CONFIG_SECTIONS, SPOE_SECTIONS } from "../../src/text/structure.ts";
import type { Step } from "./case-file.ts";

/** Does a step, and gives what came of it as text. */
export function runStep(text: string, step: Step): string {
  const document = parse(text, step.keyword);
  assert.equal(document.print(0).toString(), text);
  const [section] = document.find(step.keyword, step.name);
  const codec = (isSpoe(step.keyword) ? spoeGrammar() : configGrammar()).section(step.keyword);
  assert.ok(section !== undefined && codec !== undefined, `there is no ${step.keyword} ${step.name}`);
  return step.kind === "means" ? meaning(codec, section) : changed(document, section, codec, step);
}

/** Sections of SPOE files are told from those of haproxy.cfg by their keywords. */
function isSpoe(keyword: string): boolean {
  return SPOE_SECTIONS.has(keyword);
}

function parse(text: string, keyword: string): Document {
  const sections = isSpoe(keyword) ? SPOE_SECTIONS : CONFIG_SECTIONS;
  return Document.parse([{ path: "haproxy.cfg", bytes: Buffer.from(text) }], sections);
}

/** The section's message as JSON. It must print to text that means the same. */
function meaning(codec: SectionCodec, section: Section): string {
  const message = sectionMessage(codec, section, { children: true, secrets: false });
  const json = jsonOf(codec.desc, message);
  const whole = sectionMessage(codec, section, { children: true, secrets: true });
  const { header, lines } = printSection(
    codec,
    withoutUnmodelled(codec, whole),
    {
      kind: section.keyword,
      version: undefined,
    },
    parse("", section.keyword).structure,
  );
  const printed = parse(`${[header, ...lines].join("\n")}\n`, section.keyword);
  const [again] = printed.find(section.keyword, section.name);
  const reread = sectionMessage(codec, again!, { children: true, secrets: true });
  assert.equal(jsonOf(codec.desc, reread), jsonOf(codec.desc, withoutUnmodelled(codec, whole)));
  return json;
}

function changed(
  document: Document,
  section: Section,
  codec: SectionCodec,
  step: Extract<Step, { kind: "change" }>,
): string {
  const json = JSON.parse(step.change) as JsonObject;
  const fields = new Set(Object.keys(json).map((name) => fieldOf(codec.desc, name)));
  // null stands for a field that is not set.
  const given = Object.fromEntries(Object.entries(json).filter(([, value]) => value !== null));
  const message = fromJson(codec.desc, given) as Fields;
  const version = parseBranch(step.version);
  try {
    return editSection(document, section, codec, message, {
      fields,
      ...(version === undefined ? {} : { version }),
    })
      .document.print(0)
      .toString();
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    assert.ok(error.violations.length > 0, "a refusal names the fields");
    return error.violations
      .map(({ field, description }) => `${error.reason} ${field}: ${description}\n`)
      .join("");
  }
}

function fieldOf(desc: DescMessage, name: string): DescField {
  const field = desc.fields.find((candidate) => candidate.name === name);
  assert.ok(field !== undefined, `${desc} has no field ${name}`);
  return field;
}

function jsonOf(desc: DescMessage, message: Fields): string {
  return `${JSON.stringify(toJson(desc, message, { useProtoFieldName: true }), undefined, 2)}\n`;
}

/** Lines that no field stands for are text; what they are is for the places that keep them. */
function withoutUnmodelled(codec: SectionCodec, message: Fields): Fields {
  const field = codec.roles.unmodelled?.field;
  return field === undefined ? message : { ...message, [field.localName]: [] };
}
