/** For how long a transaction may be left unused. */
export const IDLE_MS = { default: 600_000, min: 1_000, max: 24 * 3_600_000 };
