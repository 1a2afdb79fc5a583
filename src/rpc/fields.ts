import type { Duration } from "@bufbuild/protobuf/wkt";
import { DomainError, type FieldViolation } from "../lib/errors.ts";

/** Checks of single fields. They are named by their path from the request, in proto spelling, such as `source.consul.port`. */
export interface FieldChecks {
  /** The field must be set, and not to the empty string. */
  required(field: string, value: unknown): void;
  /** The number must lie between two bounds, both allowed. */
  range(field: string, value: number, least: number, most: number): void;
  /** The duration must lie between two bounds in milliseconds, both allowed. Returns it in whole milliseconds, `fallbackMs` when it is not set. */
  duration(
    field: string,
    value: Duration | undefined,
    fallbackMs: number,
    leastMs: number,
    mostMs: number,
  ): number;
}

/** Checks the fields of a request and returns what `inspect` does. Throws `FIELD_INVALID` with every violation at once, if there is one. */
export function checkFields<T>(inspect: (check: FieldChecks) => T): T {
  const violations: FieldViolation[] = [];
  const violate = (field: string, description: string) => {
    violations.push({ field, description });
  };
  const result = inspect({
    required(field, value) {
      if (value === undefined || value === "") violate(field, "is required");
    },
    range(field, value, least, most) {
      if (value >= least && value <= most) return;
      violate(field, `must be ${least} to ${most}; it is ${value}`);
    },
    duration(field, value, fallbackMs, leastMs, mostMs) {
      if (value === undefined) return fallbackMs;
      const ms = Number(value.seconds) * 1_000 + value.nanos / 1e6;
      if (ms >= leastMs && ms <= mostMs) return Math.ceil(ms);
      violate(field, `must be ${leastMs / 1_000}s to ${mostMs / 1_000}s; it is ${ms / 1_000}s`);
      return fallbackMs;
    },
  });
  if (violations.length > 0) throw fieldsInvalid(violations);
  return result;
}

/** The error for a request with wrong fields. */
export function fieldsInvalid(violations: readonly FieldViolation[]): DomainError {
  const message = violations.map(({ field, description }) => `${field} ${description}`).join("; ");
  return new DomainError("FIELD_INVALID", message, { violations });
}
