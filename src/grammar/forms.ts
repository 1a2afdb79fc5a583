import type { DescField } from "@bufbuild/protobuf";
import { httpchk } from "./forms/httpchk.ts";
import { GrammarError } from "./grammar-error.ts";
import type { Words } from "./phrase.ts";
import type { Fields } from "./slot.ts";

/** A directive that is read and written by hand, since no combination of annotations can say it. */
export interface LineForm {
  /** Full name of the message that it reads. */
  readonly message: string;
  /** Fills an empty message from the words behind the keyword; false when they are none of its forms. */
  read(message: Fields, words: Words, from: number): boolean;
  /** The words behind the keyword. */
  write(message: Fields): string[];
}

const FORMS: Readonly<Record<string, LineForm>> = { httpchk };

/** The hand-written form of a directive. */
export function formOf(field: DescField, name: string): LineForm {
  const form = FORMS[name];
  if (form === undefined) throw new GrammarError(field, `there is no form "${name}"`);
  if (field.fieldKind !== "message" || field.message.typeName !== form.message)
    throw new GrammarError(field, `form "${name}" is for ${form.message}`);
  return form;
}

/** The names of all hand-written forms. */
export const FORM_NAMES: readonly string[] = Object.keys(FORMS);
