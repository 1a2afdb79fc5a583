import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import type { FieldMask } from "@bufbuild/protobuf/wkt";
import { hasPresence, messageOf } from "../grammar/field.ts";
import { withSecretsOf } from "../grammar/secrets.ts";
import { type Fields, type Slot, slotOf } from "../grammar/slot.ts";
import { DomainError, type FieldViolation } from "../lib/errors.ts";
import { printableName } from "./name.ts";

/** What an update takes from its request. */
export interface Masked {
  /** The present message with the new values, secrets included. */
  readonly message: Fields;
  /** The fields of it that may be others than before. */
  readonly fields: ReadonlySet<DescField>;
}

/** Which mask `*` and no mask are to be. */
export interface MaskOptions {
  /** The fields that are taken only when they are named, or set. */
  readonly unless: (field: DescField) => boolean;
  /** Path of the mask in the request, for errors. */
  readonly path: string;
}

/**
 * Merges the fields that a mask names into a message. Without a mask all that are set are taken, with `*` all. Secrets that the new values leave out stay,
 * unless the mask names them themselves. Throws `FIELD_INVALID` for paths that name nothing.
 */
export function applyMask(
  desc: DescMessage,
  current: Fields,
  incoming: Fields,
  mask: FieldMask | undefined,
  options: MaskOptions,
): Masked {
  const restored = withSecretsOf(desc, incoming, current);
  const message: Fields = { ...current };
  const fields = new Set<DescField>();
  if (mask === undefined || mask.paths.length === 0 || mask.paths.includes("*")) {
    const all = mask?.paths.includes("*") === true;
    if (all && mask.paths.length > 1) throw wrongMask([describe(options.path, "* must stand alone")]);
    for (const { field, slot } of slotsOf(desc)) {
      const set = isPresent(field, slot.get(incoming));
      if (!set && (!all || options.unless(field))) continue;
      fields.add(field);
      copy(field, slot, restored, message);
    }
    return { message, fields };
  }
  const violations: FieldViolation[] = [];
  for (const path of mask.paths) {
    const chain = fieldsOf(desc, path);
    if (typeof chain === "string") {
      violations.push(describe(options.path, chain));
      continue;
    }
    fields.add(chain[0]!);
    const last = chain.at(-1)!;
    const source = last.proto.options?.debugRedact === true ? incoming : restored;
    copyPath(chain, source, message);
  }
  if (violations.length > 0) throw wrongMask(violations);
  return { message, fields };
}

/** Whether a message has a field: a value, or elements. A bool or number without presence counts when it is not zero. */
export function isSet(field: DescField, message: Fields): boolean {
  return isPresent(field, slotOf(field).get(message));
}

function isPresent(field: DescField, value: unknown): boolean {
  if (value === undefined) return false;
  if (Array.isArray(value)) return value.length > 0;
  return hasPresence(field) || (value !== false && value !== 0 && value !== "");
}

interface FieldSlot {
  readonly field: DescField;
  readonly slot: Slot;
}

const SLOTS = new WeakMap<DescMessage, readonly FieldSlot[]>();

function slotsOf(desc: DescMessage): readonly FieldSlot[] {
  let slots = SLOTS.get(desc);
  if (slots === undefined) {
    slots = desc.fields.map((field) => ({ field, slot: slotOf(field) }));
    SLOTS.set(desc, slots);
  }
  return slots;
}

/** The fields that a path names, from the outside in; or why it names none. */
function fieldsOf(desc: DescMessage, path: string): DescField[] | string {
  const chain: DescField[] = [];
  let message: DescMessage | undefined = desc;
  for (const name of path.split(".")) {
    const field: DescField | undefined = message?.fields.find((candidate) => candidate.name === name);
    if (message === undefined || (chain.at(-1)?.fieldKind ?? "message") !== "message")
      return `"${printableName(path)}": ${chain.at(-1)?.name ?? ""} has no fields that a mask could name`;
    if (field === undefined)
      return `"${printableName(path)}": ${message.name} has no field ${printableName(name)}`;
    chain.push(field);
    message = messageOf(field);
  }
  return chain;
}

function copyPath(chain: readonly DescField[], from: Fields, to: Fields): void {
  const [field, ...rest] = chain as [DescField, ...DescField[]];
  if (rest.length === 0) {
    copy(field, slotOf(field), from, to);
    return;
  }
  const slot = slotOf(field);
  const source = slot.get(from) as Fields | undefined;
  const inner: Fields = { ...((slot.get(to) as Fields | undefined) ?? empty(field)) };
  copyPath(rest, source ?? empty(field), inner);
  slot.set(to, inner);
}

function empty(field: DescField): Fields {
  return create(messageOf(field)!) as Fields;
}

function copy(field: DescField, slot: Slot, from: Fields, to: Fields): void {
  const value = slot.get(from);
  const present = slot.get(to);
  // A message that got a property for each field that it does not have would be slow from then on.
  if (value === present) return;
  if (value !== undefined || field.oneof === undefined) slot.set(to, value);
  else (to as Record<string, unknown>)[field.oneof.localName] = { case: undefined };
}

function describe(field: string, description: string): FieldViolation {
  return { field, description };
}

function wrongMask(violations: readonly FieldViolation[]): DomainError {
  const [first] = violations;
  return new DomainError("FIELD_INVALID", `${first!.field}: ${first!.description}`, { violations });
}
