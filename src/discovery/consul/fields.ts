import { DomainError } from "../../lib/errors.ts";

/** An object of an answer, not yet looked at. */
export type Fields = { [name: string]: unknown };

/** The value, which has to be an object. Throws `CONSUL_UNAVAILABLE`. */
export function object(value: unknown, what: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw malformed(`${what} is not an object`);
  return value as Fields;
}

/** The value, which has to be an object; an empty one when it is left out. Throws `CONSUL_UNAVAILABLE`. */
export function optionalObject(value: unknown, what: string): Fields {
  return value === undefined || value === null ? {} : object(value, what);
}

/** The value, which has to be a string. Throws `CONSUL_UNAVAILABLE`. */
export function text(value: unknown, what: string): string {
  if (typeof value !== "string") throw malformed(`${what} is not a string`);
  return value;
}

/** An answer that cannot be Consul's. */
export function malformed(detail: string): DomainError {
  return new DomainError("CONSUL_UNAVAILABLE", `the answer is not Consul's: ${detail}`);
}
