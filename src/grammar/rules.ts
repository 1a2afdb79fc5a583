import { type DescField, ScalarType } from "@bufbuild/protobuf";
import type { FieldViolation } from "../lib/errors.ts";
import { hasPresence } from "./field.ts";
import { GrammarError } from "./grammar-error.ts";
import { validityOf } from "./syntax.ts";

/** Checks the rules of one field's value, but not of the messages in it. */
export type RuleCheck = (value: unknown, path: string, violations: FieldViolation[]) => void;

/** The rules of a field, compiled; undefined when it has none. */
export function ruleCheckOf(field: DescField): RuleCheck | undefined {
  if (!RULES.has(field)) RULES.set(field, compileRules(field));
  return RULES.get(field);
}

const RULES = new WeakMap<DescField, RuleCheck | undefined>();

function compileRules(field: DescField): RuleCheck | undefined {
  const rules = validityOf(field);
  if (rules === undefined) return undefined;
  const checks: RuleCheck[] = [];
  const { min, max } = rules;
  if (rules.required)
    checks.push((value, path, violations) => {
      if (isUnset(value) || (value === 0 && !hasPresence(field)))
        violations.push({ field: path, description: "must be set" });
    });
  if (rules.pattern !== "") {
    const pattern = patternOf(field, rules.pattern);
    checks.push(
      each((value, path, violations) => {
        if (!pattern.test(value as string))
          violations.push({ field: path, description: `must match ${rules.pattern}; found "${value}"` });
      }),
    );
  }
  if (min !== undefined || max !== undefined) {
    const [low, high] = [Number(min ?? -Infinity), Number(max ?? Infinity)];
    const unit = field.fieldKind === "list" ? "elements" : isText(field) ? "characters" : "";
    checks.push((value, path, violations) => {
      const size = Array.isArray(value)
        ? value.length
        : typeof value === "string"
          ? [...value].length
          : Number(value);
      if (size >= low && size <= high) return;
      const bounds =
        low === -Infinity ? `at most ${high}` : high === Infinity ? `at least ${low}` : `${low} to ${high}`;
      violations.push({ field: path, description: `must be ${bounds}${unit && ` ${unit}`}; found ${size}` });
    });
  }
  if (rules.oneOf.length > 0) {
    const allowed = rules.oneOf.map(Number);
    checks.push(
      each((value, path, violations) => {
        if (!allowed.includes(Number(value)))
          violations.push({
            field: path,
            description: `must be one of ${allowed.join(", ")}; found ${value}`,
          });
      }),
    );
  }
  // What is not there can only break the rule that it must be.
  const [required, ...others] = rules.required ? checks : [undefined, ...checks];
  return (value, path, violations) => {
    required?.(value, path, violations);
    if (!isUnset(value)) for (const check of others) check!(value, path, violations);
  };
}

function patternOf(field: DescField, text: string): RegExp {
  try {
    return new RegExp(`^(?:${text})$`, "u");
  } catch {
    throw new GrammarError(field, `valid.pattern "${text}" is no regular expression`);
  }
}

function each(check: RuleCheck): RuleCheck {
  return (value, path, violations) => {
    if (!Array.isArray(value)) return check(value, path, violations);
    for (const [i, element] of value.entries()) check(element, `${path}[${i}]`, violations);
  };
}

function isText(field: DescField): boolean {
  return field.fieldKind === "scalar" && field.scalar === ScalarType.STRING;
}

function isUnset(value: unknown): boolean {
  return value === undefined || value === "" || (Array.isArray(value) && value.length === 0);
}
