import type { DescField, DescMessage } from "@bufbuild/protobuf";
import type { Directive } from "./directive.ts";
import { hasPresence, messageOf } from "./field.ts";
import { identityOf } from "./identity.ts";
import type { Words } from "./phrase.ts";
import { type Fields, type Slot, slotOf } from "./slot.ts";
import { wordOf } from "./syntax.ts";

/** True when a value of the directive can hold a secret: a field with `debug_redact`. */
export function holdsSecret({ syntax }: Directive): boolean {
  return fieldHoldsSecret(syntax.field);
}

/** True when a line of the directive, read or not, may show a secret: one without a keyword, or one whose keyword is there. */
export function mayShowSecret(directive: Directive, words: Words): boolean {
  if (isSecret(directive.syntax.field)) return true;
  const message = messageOf(directive.syntax.field);
  return (
    message !== undefined &&
    secretsIn(message).some(
      (keyword) => keyword === undefined || words.some(({ value }) => value === keyword),
    )
  );
}

/** The keywords of the secrets in a message and those in it; undefined for one that has none. */
function secretsIn(desc: DescMessage): (string | undefined)[] {
  if (!messageHoldsSecret(desc)) return [];
  return desc.fields.flatMap((field) => {
    const inner = messageOf(field);
    if (inner !== undefined) return secretsIn(inner);
    if (!isSecret(field)) return [];
    const { place, keyword, aliases } = wordOf(field);
    return place === "keyword" ? [keyword[0], ...aliases.map(([first]) => first)] : [undefined];
  });
}

/** A copy of a message without its secrets; the message itself when it holds none. */
export function withoutSecrets(desc: DescMessage, message: Fields): Fields {
  if (!messageHoldsSecret(desc)) return message;
  const copy = { ...message };
  for (const { field, slot } of secretFields(desc)) {
    const value = slot.get(message);
    if (value === undefined) continue;
    const inner = messageOf(field);
    if (isSecret(field)) clear(copy, field);
    else if (field.fieldKind === "list")
      copy[field.localName] = (value as Fields[]).map((element) => withoutSecrets(inner!, element));
    else slot.set(copy, withoutSecrets(inner!, value as Fields));
  }
  return copy;
}

/**
 * A copy of a message in which secrets that it leaves out are those of an older one, so that what was read without secrets can be
 * written back. One that is set and empty is removed, and another member of its choice takes its place. Elements of a list are matched by
 * what else they say, then by name.
 */
export function withSecretsOf(desc: DescMessage, message: Fields, old: Fields): Fields {
  if (!messageHoldsSecret(desc)) return message;
  const copy = { ...message };
  for (const { field, slot } of secretFields(desc)) {
    const value = slot.get(message);
    const before = slot.get(old);
    if (before === undefined) continue;
    const inner = messageOf(field);
    if (isSecret(field)) {
      if (isLeftOut(field, message)) slot.set(copy, before);
      else if (value === "") clear(copy, field);
    } else if (field.fieldKind === "list") {
      copy[field.localName] = restoreElements(inner!, value as Fields[], before as Fields[]);
    } else if (value !== undefined) {
      slot.set(copy, withSecretsOf(inner!, value as Fields, before as Fields));
    }
  }
  return copy;
}

function restoreElements(
  desc: DescMessage,
  elements: readonly Fields[],
  before: readonly Fields[],
): Fields[] {
  if (elements.length === 0 || !before.some((element) => hasSecret(desc, element))) return [...elements];
  const rest = before.map((element) => ({ element, key: keyOf(desc, element) }));
  const take = (matches: (candidate: (typeof rest)[number]) => boolean): Fields | undefined => {
    const at = rest.findIndex(matches);
    return at < 0 ? undefined : rest.splice(at, 1)[0]!.element;
  };
  const found = elements.map((element) => {
    const key = keyOf(desc, element);
    return take((candidate) => candidate.key === key);
  });
  // One that says something else now is still the one of its name.
  for (const [i, element] of elements.entries()) {
    const name = identityOf(desc, element);
    if (name !== undefined) found[i] ??= take((candidate) => identityOf(desc, candidate.element) === name);
  }
  return elements.map((element, i) => {
    const old = found[i];
    return old === undefined ? element : withSecretsOf(desc, element, old);
  });
}

/** Whether a message says nothing about a secret. Without presence an empty one is the same as none. */
function isLeftOut(field: DescField, message: Fields): boolean {
  if (field.oneof !== undefined)
    return (message[field.oneof.localName] as { readonly case: string | undefined }).case === undefined;
  const value = message[field.localName];
  return value === undefined || (value === "" && !hasPresence(field));
}

/** Whether a message has a secret. */
function hasSecret(desc: DescMessage, message: Fields): boolean {
  return secretFields(desc).some(({ field, slot }) => {
    const value = slot.get(message);
    if (value === undefined || value === "") return false;
    const inner = messageOf(field);
    if (isSecret(field) || inner === undefined) return true;
    return Array.isArray(value)
      ? (value as Fields[]).some((element) => hasSecret(inner, element))
      : hasSecret(inner, value as Fields);
  });
}

/** What an element says besides its secrets. */
function keyOf(desc: DescMessage, message: Fields): string {
  return JSON.stringify(withoutSecrets(desc, message));
}

function isSecret(field: DescField): boolean {
  return field.proto.options?.debugRedact === true;
}

function fieldHoldsSecret(field: DescField): boolean {
  const inner = messageOf(field);
  return isSecret(field) || (inner !== undefined && messageHoldsSecret(inner));
}

interface SecretField {
  readonly field: DescField;
  readonly slot: Slot;
}

const FIELDS = new WeakMap<DescMessage, readonly SecretField[]>();

/** The fields of a message that are secrets, or hold some. */
function secretFields(desc: DescMessage): readonly SecretField[] {
  let fields = FIELDS.get(desc);
  if (fields === undefined) {
    fields = desc.fields.filter(fieldHoldsSecret).map((field) => ({ field, slot: slotOf(field) }));
    FIELDS.set(desc, fields);
  }
  return fields;
}

const SECRETS = new WeakMap<DescMessage, boolean>();

function messageHoldsSecret(desc: DescMessage): boolean {
  let found = SECRETS.get(desc);
  if (found === undefined) {
    SECRETS.set(desc, false);
    found = desc.fields.some(fieldHoldsSecret);
    SECRETS.set(desc, found);
  }
  return found;
}

function clear(message: Fields, field: DescField): void {
  if (field.oneof !== undefined) message[field.oneof.localName] = { case: undefined };
  else if (field.fieldKind === "list") message[field.localName] = [];
  else if (!hasPresence(field)) message[field.localName] = "";
  else delete message[field.localName];
}
