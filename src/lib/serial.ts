/** Runs tasks one after another, in the order in which they were given; one that fails does not stop the next. */
export class Serial {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs a task when those before it are done. */
  run<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(task, task);
    this.#last = result.catch(() => {});
    return result;
  }

  /** Resolves when everything that was given so far is done. */
  async idle(): Promise<void> {
    await this.#last;
  }
}
