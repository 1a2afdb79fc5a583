import type { DescMessage } from "@bufbuild/protobuf";
import { hasPresence } from "../grammar/field.ts";
import { placedLines } from "../grammar/read-section.ts";
import type { Fields } from "../grammar/slot.ts";
import type { Section } from "../text/section.ts";
import { childIdOf, idOfChild } from "./children.ts";
import type { ChildKind, SectionKind } from "./kinds.ts";

/** The servers or binds of a section, in order. */
export interface ChildValues {
  /** Their names in the section, each once. */
  readonly ids: readonly string[];
  /** What their lines say; undefined for a line that the grammar cannot read. */
  readonly values: readonly (Fields | undefined)[];
  /** Which of them has a name; undefined when none has. */
  placeOf(id: string): number | undefined;
}

/** What a section's children say; undefined when a name stands twice or in a conditional block, so that it does not say which line is meant. */
export function childValues(section: Section, kind: SectionKind, child: ChildKind): ChildValues | undefined {
  if (section.marks.length > 0) return undefined;
  const ids: string[] = [];
  const values: (Fields | undefined)[] = [];
  for (const { index, reading } of placedLines(kind.codec, section, { children: true })) {
    if (reading.kind === "typed") {
      if (reading.directive !== child.directive) continue;
      const value = reading.value as Fields;
      ids.push(idOfChild(child, value));
      values.push(value);
    } else {
      const id = childIdOf(kind, child, section.lines.at(index)!);
      if (id === undefined) continue;
      ids.push(id);
      values.push(undefined);
    }
  }
  if (new Set(ids).size < ids.length) return undefined;
  let places: ReadonlyMap<string, number> | undefined;
  return {
    ...{ ids, values },
    placeOf(id) {
      // Where the order is the same in both, nobody asks.
      places ??= new Map(ids.map((own, place) => [own, place]));
      return places.get(id);
    },
  };
}

/**
 * Whether a line's message is as desired, so that an update with the mask `*` would change nothing. It may err on the side of no: texts that are quoted in different ways count as
 * different here.
 */
export function isAsDesired(desc: DescMessage, current: Fields, desired: Fields): boolean {
  // Own properties alone: of a hundred fields few are set, and there may be ten thousand lines.
  let shared = 0;
  // Those of a decoded message are in a hash table, which `for in` goes through slowly.
  for (const key of Object.keys(desired)) {
    const value = desired[key];
    const present = current[key];
    if (present !== undefined) shared++;
    if (value === present || key === "$unknown" || equal(present, value)) continue;
    if (!isNothing(value) || !staysWhenLeftOut(desc).has(key)) return false;
  }
  for (const key in current) if (current[key] !== undefined) shared--;
  if (shared === 0) return true;
  for (const key in current) {
    if (key in desired || current[key] === undefined || key === "$unknown") continue;
    if (!staysWhenLeftOut(desc).has(key)) return false;
  }
  return true;
}

const STAYING = new WeakMap<DescMessage, ReadonlySet<string>>();

/** The fields that an update with the mask `*` takes only when they are set: names, secrets, words that no field stands for. */
function staysWhenLeftOut(desc: DescMessage): ReadonlySet<string> {
  let names = STAYING.get(desc);
  if (names === undefined) {
    const stays = desc.fields.filter(
      (field) =>
        field.proto.options?.debugRedact === true ||
        field.name === "unmodelled_words" ||
        (field.name === "name" && !hasPresence(field)),
    );
    names = new Set(stays.map(({ localName }) => localName));
    STAYING.set(desc, names);
  }
  return names;
}

function isNothing(value: unknown): boolean {
  return value === undefined || value === "" || (Array.isArray(value) && value.length === 0);
}

function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a)) {
    if (!Array.isArray(b) || a.length !== b.length) return false;
    for (let i = 0; i < a.length; i++) if (!equal(a[i], b[i])) return false;
    return true;
  }
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>];
  for (const key in left) if (!equal(left[key], right[key])) return false;
  for (const key in right) if (!(key in left) && right[key] !== undefined) return false;
  return true;
}
