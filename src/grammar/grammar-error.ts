/** A wrong annotation. It is thrown when the descriptors are compiled, at start, and names the field. */
export class GrammarError extends Error {
  override readonly name = "GrammarError";

  /** `element` is the descriptor at fault; it prints as "field haplane.config.v1.Proxy.mode". */
  constructor(element: { toString(): string }, problem: string) {
    super(`${element}: ${problem}`);
  }
}
