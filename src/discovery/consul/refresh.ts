/** Makes all queries begin anew when somebody asks for it. */
export interface Refresh {
  /** Aborts when the queries that are under way are to be made again at once. */
  readonly signal: AbortSignal;
  /** Aborts the present signal and puts another in its place. */
  now(): void;
}

/** A refresh that nobody has asked for yet. */
export function createRefresh(): Refresh {
  let controller = new AbortController();
  return {
    get signal() {
      return controller.signal;
    },
    now() {
      const before = controller;
      controller = new AbortController();
      before.abort();
    },
  };
}
