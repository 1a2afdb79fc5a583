/** One line of a benchmark: a figure of ours beside the bound that was measured in the same run. */
export interface Measurement {
  /** What was measured: "p50", "50,000 servers, one change". */
  readonly case: string;
  readonly value: number;
  /** Unit of value and bound: "ms", "calls/s". */
  readonly unit: string;
  /** The same figure of the ideal that haplane is held against. Undefined: the line is there to be read, and has no target. */
  readonly bound?: number;
  /** How many times the bound the value may be, or must be where more is better. */
  readonly target?: number;
  /** Which direction is good. Default: less, as for a time. */
  readonly better?: "less" | "more";
  /**
   * What the bound is on the reference machine. A bound more than twice as bad makes the run void: a slow yardstick proves
   * nothing.
   */
  readonly expectedBound?: number;
}

/** What a benchmark is given. */
export interface BenchContext {
  /** A directory of its own, removed after the run. */
  readonly directory: string;
  /** Aborts when the run is interrupted: stop what was started, then reject or return. */
  readonly signal: AbortSignal;
  /** Tells the person at the terminal how far it is. */
  readonly log: (line: string) => void;
}

/** Measures something. */
export type Bench = (context: BenchContext) => Promise<readonly Measurement[]>;

/** Default export of bench/NAME.ts: a benchmark, or its parts by name, which can be run one by one. */
export type BenchModule = Bench | Readonly<Record<string, Bench>>;
