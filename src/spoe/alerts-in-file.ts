import { DomainError } from "../lib/errors.ts";
import { spoeResourceAt } from "./read-spoe.ts";
import type { SpoeFile } from "./spoe-file.ts";

/** An error with the names of the resources of a file at whose lines HAProxy's alerts are. `path` is where the file is. */
export function alertsInFile(error: unknown, path: string, file: SpoeFile): unknown {
  if (!(error instanceof DomainError) || error.alerts.every((alert) => alert.file !== path)) return error;
  const { reason, message, violations, resource, retryAfterMs, metadata, cause } = error;
  const alerts = error.alerts.map((alert) => {
    const name = alert.file === path ? spoeResourceAt(file, alert.line) : undefined;
    return name === undefined ? alert : { ...alert, resource: name };
  });
  return new DomainError(reason, message, {
    ...{ violations, alerts, metadata, cause },
    ...(resource && { resource }),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  });
}
