import { type HaproxyVersion, isAtLeast } from "./version.ts";

/** What an HAProxy can do, known from its version. */
export interface Capabilities {
  readonly version: HaproxyVersion;
  /** `reload` on the master socket answers with `Success=` and the start-up log (≥ 2.7). */
  readonly reloadReportsOutcome: boolean;
  /** `wait … srv-removable` exists (≥ 3.0). */
  readonly waitsUntilRemovable: boolean;
}

/** The capabilities of a version (management guides of 2.6, 2.7 and 3.0). */
export function capabilitiesOf(version: HaproxyVersion): Capabilities {
  return {
    version,
    reloadReportsOutcome: isAtLeast(version, 2, 7),
    waitsUntilRemovable: isAtLeast(version, 3, 0),
  };
}
