import { type HaproxyVersion, isAtLeast } from "./version.ts";

/** What an HAProxy can do, known from its version. */
export interface Capabilities {
  readonly version: HaproxyVersion;
  /** `reload` on the master socket answers with its outcome and the start-up log (≥ 2.7); before, the outcome is seen in the list of processes. */
  readonly reloadReportsOutcome: boolean;
  /**
   * A worker that reads its configuration but cannot start (`chroot` to nowhere, a port that is taken by a rule of the system) leaves the former one serving (≥ 3.1); before, the
   * master ends all.
   */
  readonly reloadSurvivesFailedStart: boolean;
}

/** The capabilities of a version. */
export function capabilitiesOf(version: HaproxyVersion): Capabilities {
  return {
    version,
    reloadReportsOutcome: isAtLeast(version, 2, 7),
    reloadSurvivesFailedStart: isAtLeast(version, 3, 1),
  };
}
