import type { DescField } from "@bufbuild/protobuf";
import { messageOf } from "./field.ts";
import { httpchk } from "./forms/httpchk.ts";
import { spoeArgs } from "./forms/spoe-args.ts";
import { GrammarError } from "./grammar-error.ts";
import type { LineForm } from "./line-form.ts";

const FORMS: Readonly<Record<string, LineForm>> = { httpchk, "spoe-args": spoeArgs };

/** The hand-written form of a directive. */
export function formOf(field: DescField, name: string): LineForm {
  const form = FORMS[name];
  if (form === undefined) throw new GrammarError(field, `there is no form "${name}"`);
  if (messageOf(field)?.typeName !== form.message)
    throw new GrammarError(field, `form "${name}" is for ${form.message}`);
  return form;
}

/** The names of all hand-written forms. */
export const FORM_NAMES: readonly string[] = Object.keys(FORMS);
