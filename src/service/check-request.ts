import type { DescMessage, Message } from "@bufbuild/protobuf";
import { ruleCheckOf } from "../grammar/rules.ts";
import { type Fields, slotOf } from "../grammar/slot.ts";
import type { FieldViolation } from "../lib/errors.ts";
import { fieldsInvalid } from "../rpc/fields.ts";

/** Checks the rules (option `valid`) of a request's own fields and of its write options (the field `options`); resources in it are checked where they are written. Throws `FIELD_INVALID`. */
export function checkRequest(desc: DescMessage, request: Message): void {
  const violations: FieldViolation[] = [];
  checkFields(desc, request, "", violations);
  const { options } = desc.field;
  const given = options && (slotOf(options).get(request as Fields) as Message | undefined);
  if (given !== undefined) checkFields(options!.message!, given, "options.", violations);
  if (violations.length > 0) throw fieldsInvalid(violations);
}

function checkFields(
  desc: DescMessage,
  message: Message,
  prefix: string,
  violations: FieldViolation[],
): void {
  for (const field of desc.fields)
    ruleCheckOf(field)?.(slotOf(field).get(message as Fields), `${prefix}${field.name}`, violations);
}
