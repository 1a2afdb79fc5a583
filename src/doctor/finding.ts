/** What one look found. */
export interface Finding {
  /** `problem`: haplane cannot work like this. `warning`: it works, and somebody should know. */
  readonly verdict: "ok" | "warning" | "problem";
  /** What was looked at and how it is, in a sentence without a full stop. */
  readonly what: string;
  /** What to do, likewise; not with `ok`. */
  readonly remedy?: string;
}

/** All is well. */
export function ok(what: string): Finding {
  return { verdict: "ok", what };
}

/** haplane works, and somebody should know. */
export function warning(what: string, remedy: string): Finding {
  return { verdict: "warning", what, remedy };
}

/** haplane cannot work like this. */
export function problem(what: string, remedy: string): Finding {
  return { verdict: "problem", what, remedy };
}
