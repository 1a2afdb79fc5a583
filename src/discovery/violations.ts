import { SlotGrowth } from "../../gen/haplane/v1/service_discovery_pb.js";
import type { FieldViolation } from "../lib/errors.ts";
import { templateViolation } from "./backend-template.ts";
import { consulViolations } from "./consul/violations.ts";
import { dnsViolations } from "./dns/violations.ts";
import { durationMs } from "./durations.ts";
import type { SourceSettings } from "./source-settings.ts";

const MIN_RETRY_MS = 100;
const MAX_RETRY_MS = 300_000;
const MAX_ACCEPT_LOSS_MS = 86_400_000;
const MAX_DRAIN_MS = 86_400_000;
const MAX_SLOTS = 10_000;
const MAX_DESCRIPTION = 1_024;
const DEFAULTS_NAME = /^[A-Za-z0-9_.:-]{0,128}$/;

/** Notes what is wrong with a field, by its path in the source; undefined is nothing. */
export type Note = (field: string, description: string | undefined) => void;

/** Everything that is wrong with settings; `path` is where the source is in the request. */
export function violationsOf(settings: SourceSettings, path: string): FieldViolation[] {
  const violations: FieldViolation[] = [];
  const note: Note = (field, description) => {
    if (description !== undefined) violations.push({ field: `${path}.${field}`, description });
  };
  note("description", longerThan(settings.description, MAX_DESCRIPTION));
  const { registry } = settings;
  if (registry.case === "consul") consulViolations(registry.value, note);
  else dnsViolations(registry.value, note);
  note(
    "retry_timeout",
    outside(durationMs(settings.retryTimeout), MIN_RETRY_MS, MAX_RETRY_MS, "100 ms to 5 min"),
  );
  note("backend_name", templateViolation(settings.backendName, registry.case));
  note(
    "accept_loss_after",
    outside(durationMs(settings.acceptLossAfter), 0, MAX_ACCEPT_LOSS_MS, "0 to 1 day"),
  );
  note(
    "defaults",
    DEFAULTS_NAME.test(settings.defaults) ? undefined : "must be letters, digits, -, _, . and :, at most 128",
  );
  note("drain_time", outside(durationMs(settings.drainTime), 0, MAX_DRAIN_MS, "0 to 1 day"));
  note("loss_percent", outside(settings.lossPercent, 1, 100, "1 to 100"));
  if (settings.slots !== undefined) {
    const { base, growth, increment } = settings.slots;
    note("slots.base", outside(base, 1, MAX_SLOTS, "1 to 10,000"));
    note("slots.increment", outside(increment, 1, MAX_SLOTS, "1 to 10,000"));
    note("slots.growth", SlotGrowth[growth] === undefined ? "is not one of the values" : undefined);
  }
  return violations;
}

function longerThan(text: string, limit: number): string | undefined {
  return text.length > limit ? `must have at most ${limit} characters` : undefined;
}

function outside(value: number, min: number, max: number, words: string): string | undefined {
  return value >= min && value <= max ? undefined : `must be ${words}`;
}
