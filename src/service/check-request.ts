import type { DescMessage, Message } from "@bufbuild/protobuf";
import { type WriteOptions, WriteOptionsSchema } from "../../gen/haplane/v1/configuration_pb.js";
import { ruleCheckOf } from "../grammar/rules.ts";
import { type Fields, slotOf } from "../grammar/slot.ts";
import type { FieldViolation } from "../lib/errors.ts";
import { fieldsInvalid } from "../rpc/fields.ts";

/** Checks the rules (option `valid`) of a request's own fields and of its write options; resources in it are checked where they are written. Throws `FIELD_INVALID`. */
export function checkRequest(
  desc: DescMessage,
  request: Message & { readonly options?: WriteOptions | undefined },
): void {
  const violations: FieldViolation[] = [];
  checkFields(desc, request, "", violations);
  if (request.options !== undefined) checkFields(WriteOptionsSchema, request.options, "options.", violations);
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
