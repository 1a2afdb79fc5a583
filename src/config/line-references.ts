import type { DescMessage } from "@bufbuild/protobuf";
import { Type } from "../../gen/haplane/grammar/v1/grammar_pb.js";
import type { Directive } from "../grammar/directive.ts";
import { messageOf } from "../grammar/field.ts";
import { type Fields, slotOf } from "../grammar/slot.ts";
import { wordOf } from "../grammar/syntax.ts";

/** A value that names a part of the configuration. */
export interface Reference {
  /** What it names: a section's keyword, or `server` (of the same section, or `backend/server`), or `table` (a proxy, or `peers/table`). */
  readonly target: string;
  readonly name: string;
  /** Path of the value, from the value of the line's directive on; empty for that itself. */
  readonly path: string;
}

/** What a line's value names. Values with expressions or references to the environment name nothing that could be known. */
export function referencesIn(directive: Directive, value: unknown): Reference[] {
  const found: Reference[] = [];
  const { syntax, codec } = directive;
  if (syntax.refers !== "" && typeof value === "string") add(found, syntax.refers, syntax.type, value, "");
  if (codec !== undefined) walk(codec.desc, value as Fields, "", found);
  return found;
}

interface ReferringField {
  readonly get: (message: Fields) => unknown;
  readonly name: string;
  readonly target: string;
  readonly type: Type;
  readonly inner: DescMessage | undefined;
}

const KNOWN = new WeakMap<DescMessage, readonly ReferringField[]>();

/** The fields of a message that name something, or hold messages with such fields. */
function referringFields(desc: DescMessage): readonly ReferringField[] {
  let fields = KNOWN.get(desc);
  if (fields !== undefined) return fields;
  // Set first, so that a message that holds itself comes to an end.
  KNOWN.set(desc, []);
  fields = desc.fields.flatMap((field): ReferringField[] => {
    const { refers, type } = wordOf(field);
    const inner = messageOf(field);
    const { get } = slotOf(field);
    if (inner !== undefined)
      return referringFields(inner).length === 0 ? [] : [{ get, name: field.name, target: "", type, inner }];
    return refers === "" ? [] : [{ get, name: field.name, target: refers, type, inner }];
  });
  KNOWN.set(desc, fields);
  return fields;
}

function walk(desc: DescMessage, message: Fields, path: string, found: Reference[]): void {
  for (const { get, name, target, type, inner } of referringFields(desc)) {
    const value = get(message);
    if (value === undefined) continue;
    const at = `${path}.${name}`;
    const elements = Array.isArray(value) ? [...value.entries()] : [[undefined, value] as const];
    for (const [i, element] of elements) {
      const own = i === undefined ? at : `${at}[${i}]`;
      if (inner !== undefined) walk(inner, element as Fields, own, found);
      else if (typeof element === "string") add(found, target, type, element, own);
    }
  }
}

function add(found: Reference[], target: string, type: Type, name: string, path: string): void {
  if (name === "" || name.includes("${") || (type === Type.FORMAT && name.includes("%"))) return;
  found.push({ target, name, path });
}
