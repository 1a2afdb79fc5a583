import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import fc from "fast-check";
import { Type } from "../../gen/haplane/grammar/v1/grammar_pb.js";
import type { Directive } from "../../src/grammar/directive.ts";
import { enumOf, isBool, messageOf, scalarTypeOf } from "../../src/grammar/field.ts";
import { isRequired } from "../../src/grammar/head.ts";
import { creatorOf, type Fields, slotOf } from "../../src/grammar/slot.ts";
import {
  type FieldSyntax,
  isOptionalChoice,
  validityOf,
  type WordSyntax,
  wordOf,
} from "../../src/grammar/syntax.ts";

/** Values of a directive's line, made from the descriptors: mostly such as can be written, now and then such as cannot. */
export function lineValues({ syntax, repeated, codec }: Directive): fc.Arbitrary<unknown> {
  const { field } = syntax;
  const message = messageOf(field);
  if (message !== undefined) return messages(message, codec === undefined ? [] : syntax.without);
  if (isBool(field) && syntax.type !== Type.ON_OFF)
    return syntax.negatable || syntax.no !== undefined ? fc.boolean() : fc.constant(true);
  const element = scalars(syntax);
  return field.fieldKind === "list" && !repeated
    ? fc.array(element, { minLength: 1, maxLength: 4 })
    : element;
}

function messages(desc: DescMessage, without: readonly string[]): fc.Arbitrary<Fields> {
  const create = creatorOf(desc);
  const plain = desc.fields
    .filter((field) => field.oneof === undefined && !without.includes(field.name))
    .map(wordOf);
  const parts = plain.map((syntax) => values(syntax).map((value) => ({ field: syntax.field, value })));
  const choices = desc.oneofs.map((oneof) => {
    const members = oneof.fields.map((field) => present(wordOf(field)).map((value) => ({ field, value })));
    const none = { field: oneof.fields[0]!, value: undefined };
    return isOptionalChoice(oneof) ? fc.oneof(fc.constant(none), ...members) : fc.oneof(...members);
  });
  return fc.tuple(...parts, ...choices).map((chosen) => {
    const message = create();
    for (const { field, value } of chosen) if (value !== undefined) slotOf(field).set(message, value);
    return message;
  });
}

/** A field's value, or undefined where it may be left out. Of many optional fields few are set, as in real lines. */
function values(syntax: WordSyntax): fc.Arbitrary<unknown> {
  const { field } = syntax;
  if (syntax.place === "unmodelled") return fc.constant([]);
  if (isRequired(syntax) && !isBool(field)) return present(syntax);
  if (field.fieldKind === "list" && syntax.place === "positional" && syntax.separator !== "")
    return present(syntax);
  return fc.oneof(
    { weight: 4, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: present(syntax) },
  );
}

function present(syntax: WordSyntax): fc.Arbitrary<unknown> {
  const { field, without } = syntax;
  const message = messageOf(field);
  const element = message === undefined ? scalars(syntax) : messages(message, without);
  return field.fieldKind === "list" ? fc.array(element, { minLength: 1, maxLength: 3 }) : element;
}

function scalars(syntax: FieldSyntax): fc.Arbitrary<unknown> {
  const { field, type } = syntax;
  const enumeration = enumOf(field);
  if (enumeration !== undefined)
    return fc.constantFrom(
      ...enumeration.values.map(({ number }) => number).filter((number) => number !== 0),
    );
  if (scalarTypeOf(field) === ScalarType.BOOL) return type === Type.ON_OFF ? fc.boolean() : fc.constant(true);
  if (scalarTypeOf(field) === ScalarType.STRING) return texts(field, type);
  const rules = validityOf(field);
  const allowed = rules?.oneOf.map(Number) ?? [];
  if (allowed.length > 0) return fc.constantFrom(...allowed);
  const low = Number(rules?.min ?? (scalarTypeOf(field) === ScalarType.UINT32 ? 0 : -1000));
  return fc.integer({
    min: low,
    max: Math.min(
      Number(rules?.max ?? 0xffffffff),
      scalarTypeOf(field) === ScalarType.UINT32 ? 0xffffffff : 0x7fffffff,
    ),
  });
}

const NAMES = fc.stringMatching(/^[A-Za-z0-9_.:-]{1,12}$/);
const ANYTHING = fc.oneof(
  fc.string({ minLength: 1, maxLength: 12 }),
  fc.string({ unit: "grapheme", minLength: 1, maxLength: 8 }),
  fc.constantFrom(
    "a b",
    "it's",
    '"q"',
    "#x",
    "\\",
    "\\ ",
    "a\\b",
    "$",
    "${HOME}",
    "$${X}",
    "${X",
    "if",
    "unless",
    "-m",
    "a,b",
    "a)",
    "é",
    "\n",
    "\t",
    "%[src]",
  ),
);
const PHRASES = fc.oneof(
  fc.constantFrom(
    "src",
    "req.hdr(host),lower",
    "hdr(x) lower",
    '"str(a b)"',
    "'regsub(\"a\",b)'",
    "path_beg /a /b",
    "{ path /x }",
    "a\\ b",
  ),
  fc.array(NAMES, { minLength: 1, maxLength: 4 }).map((words) => words.join(" ")),
);

function texts(field: DescField, type: Type): fc.Arbitrary<string> {
  switch (type) {
    case Type.TIME:
      return fc
        .tuple(fc.nat(), fc.constantFrom("", "us", "ms", "s", "m", "h", "d"))
        .map(([n, unit]) => `${n}${unit}`);
    case Type.SIZE:
    case Type.BYTES:
      return fc.tuple(fc.nat(), fc.constantFrom("", "k", "m", "g")).map(([n, unit]) => `${n}${unit}`);
    case Type.NAME:
      return NAMES;
    case Type.ADDRESS:
      return fc.oneof(
        fc.ipV4(),
        fc.ipV6().map((ip) => `[${ip}]`),
        fc.domain(),
        fc.constantFrom("/run/a.sock", "unix@/run/a b", "abns@x", "10.0.0.1:+80", "${HOST}", ":80"),
      );
    case Type.CONDITION:
      return fc.tuple(fc.constantFrom("if", "unless"), PHRASES).map((words) => words.join(" "));
    case Type.EXPRESSION:
    case Type.TEXT:
      return PHRASES;
    default:
      return validityOf(field)?.pattern ? fc.constantFrom("660", "1-3", "5") : fc.oneof(NAMES, ANYTHING);
  }
}
