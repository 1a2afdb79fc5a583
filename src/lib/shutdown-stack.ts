/** Ends one started part. */
export type Stop = () => void | Promise<void>;

/**
 * What has been started so far, to be stopped in reverse. The `AsyncDisposableStack` of the language, which Node 22 lacks, as far as it is
 * needed here: with `await using`, parts are stopped when the block is left, unless they were moved out of it.
 */
export class ShutdownStack implements AsyncDisposable {
  #stops: Stop[] = [];

  /** Adds a part, which is stopped before those that were added earlier. */
  defer(stop: Stop): void {
    this.#stops.push(stop);
  }

  /** Hands the parts over to a new stack. */
  move(): ShutdownStack {
    const moved = new ShutdownStack();
    moved.#stops = this.#stops;
    this.#stops = [];
    return moved;
  }

  /** Stops all parts, each once, also when others fail to stop. Rejects with the one error or an `AggregateError`. */
  async stop(): Promise<void> {
    const errors: unknown[] = [];
    for (let stop = this.#stops.pop(); stop !== undefined; stop = this.#stops.pop()) {
      try {
        await stop();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length === 1) throw errors[0];
    if (errors.length > 1) throw new AggregateError(errors, "Several parts did not stop in order.");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
