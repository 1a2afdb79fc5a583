import { hasPresence } from "./field.ts";
import { GrammarError } from "./grammar-error.ts";
import { type Scalar, scalarOf } from "./scalar.ts";
import { type Fields, type Slot, slotOf } from "./slot.ts";
import type { WordSyntax } from "./syntax.ts";

/** The fields of a message that are part of the keyword in front of it: `set-var(txn.x)`, `track-sc0`. */
export interface Head {
  readonly kind: "parentheses" | "glue";
  /** True when the keyword may stand alone. */
  readonly optional: boolean;
  /** Reads what stands in the parentheses, or behind the keyword. False when it is no such value. */
  read(message: Fields, text: string): boolean;
  /** What goes behind the keyword, parentheses included. */
  write(message: Fields): string;
}

/** The head that a message's fields make; undefined without such fields. */
export function headOf(syntaxes: readonly WordSyntax[]): Head | undefined {
  const [first] = syntaxes;
  if (first === undefined) return undefined;
  const glued = first.place === "glued";
  if (glued && syntaxes.length > 1)
    throw new GrammarError(first.field, "only one field can be joined to the keyword");
  for (const { field, place } of syntaxes) {
    if (place !== first.place)
      throw new GrammarError(field, "a keyword is followed by parentheses or by a value, not both");
    if (field.fieldKind === "message" || field.fieldKind === "map" || field.oneof !== undefined)
      throw new GrammarError(field, "what is part of a keyword must be a scalar, an enum or a list of them");
    if (field.fieldKind === "list" && (glued || field !== syntaxes.at(-1)!.field))
      throw new GrammarError(field, "only the last field in parentheses can be repeated");
  }
  return glued ? glue(first) : parentheses(syntaxes);
}

function glue(syntax: WordSyntax): Head {
  const scalar = scalarOf(syntax);
  const slot = slotOf(syntax.field);
  return {
    kind: "glue",
    optional: false,
    read(message, text) {
      const value = scalar.read(text);
      if (value === undefined) return false;
      slot.set(message, value);
      return true;
    },
    write: (message) => scalar.write(slot.get(message) as never),
  };
}

interface Operand {
  readonly scalar: Scalar;
  readonly slot: Slot;
  readonly list: boolean;
  readonly required: boolean;
}

function parentheses(syntaxes: readonly WordSyntax[]): Head {
  const operands: Operand[] = syntaxes.map((syntax) => ({
    scalar: scalarOf(syntax),
    slot: slotOf(syntax.field),
    list: syntax.field.fieldKind === "list",
    required: isRequired(syntax),
  }));
  return {
    kind: "parentheses",
    optional: operands.every(({ required }) => !required),
    read(message, text) {
      const parts = text.split(",");
      let at = 0;
      for (const { scalar, slot, list, required } of operands) {
        if (list) {
          for (; at < parts.length; at++) {
            const value = scalar.read(parts[at]!);
            if (value === undefined) return false;
            (slot.get(message) as unknown[]).push(value);
          }
        } else if (at < parts.length) {
          const value = scalar.read(parts[at++]!);
          if (value === undefined) return false;
          slot.set(message, value);
        } else if (required) {
          return false;
        }
      }
      return at === parts.length;
    },
    write(message) {
      const parts: string[] = [];
      for (const { scalar, slot, list } of operands) {
        const value = slot.get(message);
        if (list) for (const element of value as unknown[]) parts.push(scalar.write(element as never));
        else if (value !== undefined) parts.push(scalar.write(value as never));
      }
      return parts.length === 0 ? "" : `(${parts.join(",")})`;
    },
  };
}

/** True for a field without presence that is not repeated: it is always there. */
export function isRequired({ field }: WordSyntax): boolean {
  return field.fieldKind !== "list" && field.oneof === undefined && !hasPresence(field);
}
