import { EventKind } from "../../gen/haplane/v1/events_pb.js";
import { DomainError, type FieldViolation } from "../lib/errors.ts";
import type { LoggedEvent } from "./event-log.ts";

/** Which events a watcher wants. */
export interface Filter {
  /** The same for filters that let the same through, so that what is made for one serves the others. */
  readonly key: string;
  /** Lets everything through. */
  readonly all: boolean;
  matches(event: Pick<LoggedEvent, "kind" | "resource">): boolean;
  /** Whether events of a kind may get through, by their resource. */
  wants(kind: number): boolean;
}

const MAX_PREFIXES = 100;
const MAX_PREFIX_LENGTH = 1_024;

/** A filter by kinds and by the beginnings of resource names; an empty list lets all through. Throws `FIELD_INVALID`. */
export function createFilter(kinds: readonly number[], resourcePrefixes: readonly string[]): Filter {
  const violations = [...kinds.flatMap(checkKind), ...checkPrefixes(resourcePrefixes)];
  if (violations.length > 0) {
    throw new DomainError("FIELD_INVALID", "The filter of the watch is not valid.", { violations });
  }
  const wantedKinds = new Set(kinds);
  const prefixes = [...new Set(resourcePrefixes)].sort();
  // An empty prefix begins every name.
  const anyResource = prefixes.length === 0 || prefixes[0] === "";
  const wants = (kind: number) => wantedKinds.size === 0 || wantedKinds.has(kind);
  return {
    wants,
    key: JSON.stringify([[...wantedKinds].sort((a, b) => a - b), anyResource ? [] : prefixes]),
    all: wantedKinds.size === 0 && anyResource,
    matches: ({ kind, resource }) =>
      wants(kind) && (anyResource || prefixes.some((prefix) => resource.startsWith(prefix))),
  };
}

function checkKind(kind: number, index: number): FieldViolation[] {
  if (kind !== EventKind.UNSPECIFIED && EventKind[kind] !== undefined) return [];
  return [{ field: `kinds[${index}]`, description: `${kind} is not a kind of events` }];
}

function checkPrefixes(prefixes: readonly string[]): FieldViolation[] {
  if (prefixes.length > MAX_PREFIXES) {
    return [
      {
        field: "resource_prefixes",
        description: `has ${prefixes.length} entries, more than ${MAX_PREFIXES}`,
      },
    ];
  }
  return prefixes.flatMap((prefix, i) =>
    prefix.length <= MAX_PREFIX_LENGTH
      ? []
      : [
          {
            field: `resource_prefixes[${i}]`,
            description: `is longer than ${MAX_PREFIX_LENGTH} characters`,
          },
        ],
  );
}
