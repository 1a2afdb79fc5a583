import type { Duration } from "@bufbuild/protobuf/wkt";
import { DomainError, type FieldViolation } from "../lib/errors.ts";

/** Collects what is wrong with the fields of a request, so that a client learns of everything at once. */
export interface FieldChecks {
  /** The field must be set, and not to the empty string. */
  required(field: string, value: unknown): void;
  /** A number that is set must lie between two bounds, both allowed. */
  range(field: string, value: number | undefined, least: number, most: number): void;
  /** A string that is not empty must match; `rule` is the rest of a sentence that begins with the field: "must be …". */
  pattern(field: string, value: string, pattern: RegExp, rule: string): void;
  /** A duration that is set must lie between two bounds, in milliseconds, both allowed. Returns it in milliseconds. */
  duration(field: string, value: Duration | undefined, leastMs: number, mostMs: number): number | undefined;
  /** Adds what no other check can see. */
  violate(field: string, description: string): void;
  /** Throws `FIELD_INVALID` with every violation, if there is one. */
  done(): void;
}

/** The error for a request with one wrong field. */
export function fieldInvalid(field: string, description: string): DomainError {
  return new DomainError("FIELD_INVALID", `${field} ${description}`, {
    violations: [{ field, description }],
  });
}

/** Begins to check a request. Fields are named by their path from the request, in proto spelling, such as `source.consul.port`. */
export function checkFields(): FieldChecks {
  const violations: FieldViolation[] = [];
  const violate = (field: string, description: string) => {
    violations.push({ field, description });
  };
  return {
    violate,
    required(field, value) {
      if (value === undefined || value === "") violate(field, "is required");
    },
    range(field, value, least, most) {
      if (value === undefined || (value >= least && value <= most)) return;
      violate(field, `must be ${least} to ${most}; it is ${value}`);
    },
    pattern(field, value, pattern, rule) {
      if (value !== "" && !pattern.test(value)) violate(field, rule);
    },
    duration(field, value, leastMs, mostMs) {
      if (value === undefined) return undefined;
      const ms = Number(value.seconds) * 1_000 + value.nanos / 1e6;
      if (ms < leastMs || ms > mostMs)
        violate(field, `must be ${leastMs / 1_000}s to ${mostMs / 1_000}s; it is ${ms / 1_000}s`);
      return ms;
    },
    done() {
      const [first] = violations;
      if (first === undefined) return;
      const more = violations.length > 1 ? ` (and ${violations.length - 1} more)` : "";
      throw new DomainError("FIELD_INVALID", `${first.field} ${first.description}${more}`, { violations });
    },
  };
}
