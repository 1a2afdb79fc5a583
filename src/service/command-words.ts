import { wordProblem } from "../haproxy/command.ts";
import { fieldsInvalid } from "../rpc/fields.ts";

/** Checks values, by the names of their fields, that become words of a command to HAProxy. Throws `FIELD_INVALID`, which names the field where the encoder knows of a command only. */
export function checkWords(values: Readonly<Record<string, string>>): void {
  const violations = Object.entries(values).flatMap(([field, value]) => {
    const description = wordProblem(value);
    return description === undefined ? [] : [{ field, description }];
  });
  if (violations.length > 0) throw fieldsInvalid(violations);
}
