import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { Type } from "../../gen/haplane/grammar/v1/grammar_pb.js";
import { DomainError, type FieldViolation } from "../lib/errors.ts";
import type { Directive } from "./directive.ts";
import { enumOf, hasPresence, isBool, messageOf, scalarTypeOf } from "./field.ts";
import { isRequired } from "./head.ts";
import { compileLine } from "./line-codec.ts";
import { type RuleCheck, ruleCheckOf } from "./rules.ts";
import type { SectionCodec } from "./section-codec.ts";
import { type Fields, slotOf } from "./slot.ts";
import { type FieldSyntax, isOptionalChoice, spellingOf, type WordSyntax, wordOf } from "./syntax.ts";
import { describeText, textProblem } from "./text-problem.ts";
import { printBranch, reaches, type Span, type Version, within } from "./version.ts";

/** Where a message is to be written. */
export interface Target {
  /** Keyword of the section. */
  readonly kind: string;
  /** The HAProxy that will read it; undefined when none is known, and then every version will do. */
  readonly version: Version | undefined;
}

/** Why a message cannot be written: a value that breaks a rule, or something that the running HAProxy does not have. */
export interface Violation extends FieldViolation {
  readonly kind: "value" | "version";
}

/** A section's message that cannot be written is refused with all reasons at once. */
export function refuseViolations(violations: readonly Violation[]): void {
  const [first] = violations;
  if (first === undefined) return;
  const reason = violations.every(({ kind }) => kind === "version") ? "NOT_SUPPORTED" : "FIELD_INVALID";
  throw new DomainError(reason, `${first.field}: ${first.description}`, {
    violations: violations.map(({ field, description }) => ({ field, description })),
  });
}

/** Checks a section's message: its name and all its directives. */
export function checkSection(codec: SectionCodec, message: Fields, target: Target): Violation[] {
  const violations = checkNames(codec, message, target, () => true);
  for (const directive of codec.directives) {
    const { field } = directive.syntax;
    const value = slotOf(field).get(message);
    if (isAbsent(directive, value)) continue;
    const misplaced = checkPlace(codec, directive, target.kind);
    violations.push(...misplaced);
    if (misplaced.length > 0) continue;
    if (!directive.repeated) checkDirective(directive, value, target.version, field.name, violations);
    else {
      violations.push(...checkLines(directive, value as unknown[]));
      for (const [i, element] of (value as unknown[]).entries())
        checkDirective(directive, element, target.version, `${field.name}[${i}]`, violations);
    }
  }
  return violations;
}

/** Checks the names in a section's header, and that the kind of section exists. */
export function checkNames(
  codec: SectionCodec,
  message: Fields,
  { kind, version }: Target,
  wanted: (field: DescField) => boolean,
): Violation[] {
  const violations: Violation[] = [];
  const section = codec.kinds.get(kind);
  if (section !== undefined) checkSpan(section.span, version, kind, kind, violations);
  for (const syntax of [codec.roles.name, codec.roles.from]) {
    if (syntax === undefined || !wanted(syntax.field)) continue;
    const value = slotOf(syntax.field).get(message);
    if (value !== undefined && value !== "")
      checkValue(syntax, value, version, syntax.field.name, violations);
  }
  return violations;
}

/** Checks that a kind of section has a directive. */
export function checkPlace(
  codec: SectionCodec,
  { syntax: { field, kinds } }: Directive,
  kind: string,
): Violation[] {
  if (kinds === "" || kinds.includes(codec.kinds.get(kind)?.letter ?? "-")) return [];
  const legal = [...codec.kinds.values()]
    .filter(({ letter }) => kinds.includes(letter))
    .map(({ keyword }) => keyword);
  return [
    {
      kind: "value",
      field: field.name,
      description: `is not legal in a ${kind}; allowed in ${legal.join(", ")}`,
    },
  ];
}

/** Checks the value of one line. */
export function checkLineValue(
  directive: Directive,
  value: unknown,
  version: Version | undefined,
  path: string,
): Violation[] {
  const violations: Violation[] = [];
  checkDirective(directive, value, version, path, violations);
  return violations;
}

/** Checks the rules of a directive that has a line for each element: how many there are, and what each must be. */
export function checkLines({ syntax }: Directive, values: readonly unknown[]): Violation[] {
  const violations: Violation[] = [];
  checkRulesOf(syntax, values, syntax.field.name, violations);
  return violations;
}

/** True when the directive has no line: its field is unset, empty, or a flag that is false. */
export function isAbsent({ syntax: { field } }: Directive, value: unknown): boolean {
  if (value === undefined) return true;
  if (Array.isArray(value)) return value.length === 0;
  return value === false && !hasPresence(field);
}

function checkDirective(
  { syntax, spellings, codec, repeated }: Directive,
  value: unknown,
  version: Version | undefined,
  path: string,
  violations: Violation[],
): void {
  checkSpan(syntax.span, version, spellings[0]!.join(" "), path, violations);
  const { field } = syntax;
  if (codec !== undefined)
    checkMessage(codec.desc, value as Fields, syntax.without, version, path, violations);
  else if (field.fieldKind === "message")
    checkMessage(field.message, value as Fields, [], version, path, violations);
  else if (repeated) checkElement(syntax, value, version, path, violations);
  else checkValue(syntax, value, version, path, violations);
}

interface CheckedField {
  readonly syntax: WordSyntax;
  readonly get: (message: Fields) => unknown;
  readonly required: boolean;
  readonly rules: RuleCheck | undefined;
}

const FIELDS = new WeakMap<DescMessage, readonly CheckedField[]>();

function fieldsOf(desc: DescMessage): readonly CheckedField[] {
  let fields = FIELDS.get(desc);
  if (fields === undefined) {
    fields = desc.fields.map((field) => {
      const syntax = wordOf(field);
      return {
        syntax,
        get: slotOf(field).get,
        required: isNeeded(syntax),
        rules: ruleCheckOf(field),
      };
    });
    FIELDS.set(desc, fields);
  }
  return fields;
}

function checkMessage(
  desc: DescMessage,
  message: Fields,
  without: readonly string[],
  version: Version | undefined,
  path: string,
  violations: Violation[],
): void {
  for (const { syntax, get, required } of fieldsOf(desc)) {
    const { field } = syntax;
    const value = get(message);
    const unset =
      value === undefined ||
      value === "" ||
      (Array.isArray(value) && value.length === 0) ||
      (required && value === 0 && enumOf(field) !== undefined);
    // Most fields of a large message are not there, and nothing is to be said about them.
    if (unset && !required && value !== "") continue;
    const absent = unset || value === false;
    const at = `${path}.${field.name}`;
    if (without.includes(field.name)) {
      if (!absent && value !== 0)
        violations.push({ kind: "value", field: at, description: "is not part of this directive" });
      continue;
    }
    if (unset && required) violations.push({ kind: "value", field: at, description: "must be set" });
    if (value === "" && !required)
      violations.push({ kind: "value", field: at, description: "must not be empty; leave it out instead" });
    if (unset || (absent && !hasPresence(field))) continue;
    checkSpan(syntax.span, version, syntax.keyword.join(" "), at, violations);
    checkValue(syntax, value, version, at, violations);
  }
  for (const oneof of desc.oneofs) {
    if (isOptionalChoice(oneof) || (message[oneof.localName] as { case?: string }).case !== undefined)
      continue;
    const members = oneof.fields.map(({ name }) => name).join(", ");
    violations.push({
      kind: "value",
      field: `${path}.${oneof.name}`,
      description: `must be one of ${members}`,
    });
  }
}

/** Checks a value that is there. */
function checkValue(
  syntax: FieldSyntax,
  value: unknown,
  version: Version | undefined,
  path: string,
  violations: Violation[],
): void {
  const { field } = syntax;
  checkRulesOf(syntax, value, path, violations);
  if (field.fieldKind === "list") {
    for (const [i, element] of (value as unknown[]).entries())
      checkElement(syntax, element, version, `${path}[${i}]`, violations);
    return;
  }
  checkElement(syntax, value, version, path, violations);
}

function checkElement(
  syntax: FieldSyntax,
  value: unknown,
  version: Version | undefined,
  path: string,
  violations: Violation[],
): void {
  const { field } = syntax;
  const message = messageOf(field);
  if (message !== undefined) {
    checkMessage(message, value as Fields, syntax.without, version, path, violations);
    return;
  }
  const enumeration = enumOf(field);
  if (enumeration !== undefined) {
    const known = enumeration.values.find(({ number }) => number === value && number !== 0);
    if (known === undefined) {
      const allowed = enumeration.values.filter(({ number }) => number !== 0).map(({ name }) => name);
      violations.push({
        kind: "value",
        field: path,
        description: `must be one of ${allowed.join(", ")}; found ${value}`,
      });
      return;
    }
    const { word, span } = spellingOf(known);
    checkSpan(span, version, word, path, violations);
  } else if (typeof value === "string") {
    const problem = textProblem(syntax, value);
    if (problem !== undefined)
      violations.push({ kind: "value", field: path, description: describeText(syntax, problem, value) });
    else if (
      syntax.type === Type.BYTES &&
      /[kKmMgG]$/.test(value) &&
      version !== undefined &&
      !reaches(version, SUFFIXES)
    )
      violations.push({
        kind: "version",
        field: path,
        description: `a suffix is read from HAProxy ${printBranch(SUFFIXES)} on, and HAProxy ${printBranch(version)} is running: write "${value}" as a number`,
      });
  } else if (typeof value === "number") {
    const [low, high] =
      scalarTypeOf(field) === ScalarType.UINT32 ? [0, 0xffffffff] : [-0x80000000, 0x7fffffff];
    if (!Number.isInteger(value) || value < low || value > high)
      violations.push({
        kind: "value",
        field: path,
        description: `must be an integer from ${low} to ${high}; found ${value}`,
      });
  }
}

/** The branch from which on sizes in `tune.*` may have a suffix. */
const SUFFIXES: Version = { major: 3, minor: 2 };

function checkRulesOf(syntax: FieldSyntax, value: unknown, path: string, violations: Violation[]): void {
  const found: FieldViolation[] = [];
  ruleCheckOf(syntax.field)?.(value, path, found);
  for (const violation of found) violations.push({ ...hideSecret(syntax, violation), kind: "value" });
}

function hideSecret({ secret }: FieldSyntax, violation: FieldViolation): FieldViolation {
  return secret
    ? { field: violation.field, description: violation.description.replace(/; found .*$/s, "") }
    : violation;
}

function checkSpan(
  span: Span,
  version: Version | undefined,
  keyword: string,
  path: string,
  violations: Violation[],
): void {
  if (version === undefined || within(version, span)) return;
  const { since, until } = span;
  const range = [
    since === undefined ? "" : `from HAProxy ${printBranch(since)} on`,
    until === undefined ? "" : `before HAProxy ${printBranch(until)}`,
  ].filter((part) => part !== "");
  violations.push({
    kind: "version",
    field: path,
    description: `"${keyword}" exists ${range.join(" and ")}; HAProxy ${printBranch(version)} is running`,
  });
}

/** True for what a line cannot do without. */
function isNeeded(syntax: WordSyntax): boolean {
  const { field, type, place, separator, without } = syntax;
  if (isRequired(syntax)) return !isBool(field) || type === Type.ON_OFF;
  if (place !== "positional") return false;
  const message = messageOf(field);
  if (message !== undefined)
    return field.oneof === undefined && !compileLine(message, { follow: new Set(), without }).empty;
  return field.fieldKind === "list" && separator !== "";
}
