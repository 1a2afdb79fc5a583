import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { Type } from "../../gen/haplane/grammar/v1/grammar_pb.js";
import { isPhrase } from "../../src/grammar/argument.ts";
import type { Directive } from "../../src/grammar/directive.ts";
import { enumOf, hasPresence, isBool, messageOf, scalarTypeOf } from "../../src/grammar/field.ts";
import type { Grammar } from "../../src/grammar/grammar.ts";
import { isRequired } from "../../src/grammar/head.ts";
import { compileLine } from "../../src/grammar/line-codec.ts";
import { splitPhrase } from "../../src/grammar/phrase.ts";
import { scalarOf } from "../../src/grammar/scalar.ts";
import type { SectionCodec } from "../../src/grammar/section-codec.ts";
import { creatorOf, type Fields, slotOf } from "../../src/grammar/slot.ts";
import { WHOLE_LINE } from "../../src/grammar/step.ts";
import {
  type FieldSyntax,
  isOptionalChoice,
  spellingOf,
  validityOf,
  type WordSyntax,
  wordOf,
} from "../../src/grammar/syntax.ts";
import type { Span } from "../../src/grammar/version.ts";

/** A value of a directive's line, made from the descriptors. */
export interface Sample {
  readonly codec: SectionCodec;
  readonly directive: Directive;
  /** The field that it is there for, from the section's message: `Proxy.servers.weight`. */
  readonly path: string;
  /** The same for samples of one field of one message, wherever it is used. */
  readonly key: string;
  readonly value: unknown;
  /** The versions that have all of it. */
  readonly spans: readonly Span[];
}

/** Samples in which each parameter of a message that several directives share is there once. */
export function distinctSamples(samples: readonly Sample[]): Sample[] {
  const seen = new Set<string>();
  return samples.filter(({ key }) => !seen.has(key) && seen.add(key));
}

/** For every directive, and for every parameter, choice and enum value in it, a value that HAProxy should accept. */
export function samplesOf(grammar: Grammar): Sample[] {
  // Those of proxies first: HAProxy reads servers and binds in full only there.
  const sections = grammar.sections.toSorted((a, b) => b.kinds.size - a.kinds.size);
  return sections.flatMap((codec) =>
    codec.directives.flatMap((directive) => {
      const { syntax } = directive;
      const path = `${codec.desc.name}.${syntax.field.name}`;
      if (syntax.form !== "")
        return [{ codec, directive, path, key: path, value: readSample(directive), spans: [syntax.span] }];
      return variantsOf(syntax, path, path).map(({ value, spans, path: at, key }) => ({
        codec,
        directive,
        path: at,
        key,
        value: directive.repeated && Array.isArray(value) ? value[0] : value,
        spans: [syntax.span, ...spans],
      }));
    }),
  );
}

/** The sample of a hand-written form. */
function readSample({ syntax, spellings, read }: Directive): unknown {
  const words = [...syntax.keyword, ...(splitPhrase(syntax.sample) ?? [])].map((value) => ({ value }));
  return read(words, 0, spellings[0]!);
}

/** A value of a field, and what of it is not in every version. */
interface Variant {
  readonly value: unknown;
  readonly spans: readonly Span[];
  readonly path: string;
  readonly key: string;
}

function variantsOf(syntax: FieldSyntax, path: string, key: string): Variant[] {
  const { field } = syntax;
  const message = messageOf(field);
  if (message !== undefined) return messageVariants(syntax, message, path, key);
  const enumeration = enumOf(field);
  const wrap = (value: unknown) => (field.fieldKind === "list" ? [value] : value);
  if (enumeration !== undefined)
    return enumeration.values
      .filter(({ number }) => number !== 0)
      .map((value) => ({
        value: wrap(value.number),
        spans: [spellingOf(value).span],
        path: `${path}=${spellingOf(value).word}`,
        key: `${key}=${value.name}`,
      }));
  if (isBool(field) && (hasPresence(field) || syntax.type === Type.ON_OFF))
    return [true, false].map((value) => ({
      value,
      spans: [],
      path: `${path}=${value}`,
      key: `${key}=${value}`,
    }));
  return [{ value: sampleOf(syntax), spans: [], path, key }];
}

function messageVariants(syntax: FieldSyntax, desc: DescMessage, path: string, key: string): Variant[] {
  const { sample, without } = syntax;
  const base = minimal(desc, without);
  const found: Variant[] = [];
  if (sample !== "") {
    const message = parsed(desc, without, sample);
    if (message === undefined) throw new Error(`${syntax.field}: its sample "${sample}" is no ${desc.name}`);
    found.push({ value: message, spans: [], path, key });
  } else if (base !== undefined) found.push({ value: base.message, spans: base.spans, path, key });
  for (const field of desc.fields) {
    if (without.includes(field.name)) continue;
    const inner = wordOf(field);
    if (inner.place === "unmodelled") continue;
    for (const variant of variantsOf(inner, `${path}.${field.name}`, `${desc.name}.${field.name}`)) {
      const start =
        sample === ""
          ? minimal(desc, without, field)
          : { message: parsed(desc, without, sample)!, spans: [] };
      if (start === undefined) continue;
      slotOf(field).set(start.message, variant.value);
      found.push({
        value: start.message,
        spans: [...start.spans, inner.span, ...variant.spans],
        path: variant.path,
        key: variant.key,
      });
    }
  }
  return found.map((variant) => ({
    ...variant,
    value: syntax.field.fieldKind === "list" ? [variant.value] : variant.value,
  }));
}

/** The least that a message needs; `given` is a field that will be set anyway. */
function minimal(
  desc: DescMessage,
  without: readonly string[],
  given?: DescField,
): { message: Fields; spans: Span[] } | undefined {
  const message = creatorOf(desc)();
  const spans: Span[] = [];
  const set = (syntax: WordSyntax) => {
    slotOf(syntax.field).set(message, sampleOf(syntax));
    spans.push(syntax.span);
  };
  for (const member of desc.members) {
    if (member.kind === "oneof") {
      if (isOptionalChoice(member) || (given !== undefined && given.oneof === member)) continue;
      const [first] = member.fields.map(wordOf).filter(({ place }) => place !== "prefixNo");
      if (first !== undefined) set(first);
      continue;
    }
    const syntax = wordOf(member);
    if (member === given || without.includes(member.name) || syntax.place === "unmodelled") continue;
    const needed =
      validityOf(member)?.required === true ||
      (isRequired(syntax) && !isBool(member)) ||
      (syntax.place === "positional" && member.fieldKind === "list") ||
      (syntax.place === "positional" &&
        messageOf(member) !== undefined &&
        !compileLine(messageOf(member)!, WHOLE_LINE).empty) ||
      // What has no keyword needs those before it.
      (given !== undefined &&
        needsOthers(given) &&
        syntax.place === "positional" &&
        messageOf(member) === undefined &&
        member.number < given.number);
    if (needed) set(syntax);
  }
  return { message, spans };
}

function needsOthers(field: DescField): boolean {
  const { place } = wordOf(field);
  return place === "suffix" || place === "positional";
}

/** One value of a field. */
function sampleOf(syntax: FieldSyntax): unknown {
  const { field, sample, without } = syntax;
  const list = field.fieldKind === "list";
  const message = messageOf(field);
  if (message !== undefined) {
    const value = sample === "" ? minimal(message, without)?.message : parsed(message, without, sample);
    return list ? [value] : value;
  }
  if (isBool(field) && syntax.type !== Type.ON_OFF) return true;
  const text = sample === "" ? defaultText(syntax) : sample;
  if (isPhrase(syntax.type)) return list ? [text] : text;
  const scalar = scalarOf(syntax);
  const words =
    list && syntax.separator !== ""
      ? text.split(syntax.separator)
      : list && syntax.rest
        ? text.split(" ")
        : [text];
  const values = words.map((word) => scalar.read(splitPhrase(word)?.join(" ") ?? word));
  if (values.includes(undefined)) throw new Error(`${field}: its sample "${text}" is no value`);
  return list ? values : values[0];
}

function defaultText(syntax: FieldSyntax): string {
  const { field, type, refers } = syntax;
  const enumeration = enumOf(field);
  if (enumeration !== undefined) return spellingOf(enumeration.values[1]!).word;
  if (scalarTypeOf(field) !== ScalarType.STRING) {
    const rules = validityOf(field);
    return String(
      rules?.oneOf[0] ?? Math.min(Math.max(10, Number(rules?.min ?? 0)), Number(rules?.max ?? 10)),
    );
  }
  return refers === "" ? (TEXTS[type] ?? "x") : `sample-${refers}`;
}

const TEXTS: Partial<Record<Type, string>> = {
  [Type.TIME]: "5s",
  [Type.SIZE]: "1024",
  [Type.BYTES]: "16384",
  [Type.ADDRESS]: "127.0.0.1:80",
  [Type.ON_OFF]: "on",
  [Type.NAME]: "n1",
  [Type.FILE]: "/dev/null",
  [Type.REGEX]: "^x$",
  [Type.FORMAT]: "%ci",
  [Type.EXPRESSION]: "src",
  [Type.CONDITION]: "if TRUE",
  [Type.TEXT]: "some text",
};

function parsed(desc: DescMessage, without: readonly string[], sample: string): Fields | undefined {
  const words = splitPhrase(sample)?.map((value) => ({ value }));
  if (words === undefined) return undefined;
  const codec = compileLine(desc, { ...WHOLE_LINE, without });
  const message = codec.create();
  return codec.read(message, words, 0, words.length, undefined) === words.length ? message : undefined;
}
