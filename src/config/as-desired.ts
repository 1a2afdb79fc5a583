import type { DescMessage } from "@bufbuild/protobuf";
import { hasPresence } from "../grammar/field.ts";
import { placedLines } from "../grammar/read-section.ts";
import type { Fields } from "../grammar/slot.ts";
import type { Section } from "../text/section.ts";
import { childrenOf } from "./children.ts";
import type { ChildKind, SectionKind } from "./kinds.ts";

/** The servers or binds of a section by id, as their lines say; for lines that the grammar cannot read, undefined. */
export type ChildValues = ReadonlyMap<string, Fields | undefined>;

/** What a section's children say; undefined when a name stands twice or in a conditional block, so that it does not say which line is meant. */
export function childValues(section: Section, kind: SectionKind, child: ChildKind): ChildValues | undefined {
  if (section.marks.length > 0) return undefined;
  const values = new Map<string, Fields | undefined>();
  const children = childrenOf(section, kind, child);
  let next = 0;
  for (const { index, reading } of placedLines(kind.codec, section, { children: true })) {
    const line = children[next];
    if (line?.index !== index) continue;
    const typed = reading.kind === "typed" && reading.directive === child.directive;
    values.set(line.id, typed ? (reading.value as Fields) : undefined);
    next++;
  }
  return values.size === children.length ? values : undefined;
}

/**
 * Whether a line's message is as desired, so that an update with the mask `*` would change nothing. It may err on the side of no: texts that are quoted in different ways count as
 * different here.
 */
export function isAsDesired(desc: DescMessage, current: Fields, desired: Fields): boolean {
  // Own properties alone: of a hundred fields few are set, and there may be ten thousand lines.
  for (const key in desired) {
    const value = desired[key];
    const present = current[key];
    if (value === present || key === "$unknown" || equal(present, value)) continue;
    if (!isNothing(value) || !staysWhenLeftOut(desc).has(key)) return false;
  }
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
