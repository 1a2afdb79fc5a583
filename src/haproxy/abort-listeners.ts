/** Listens to abort signals, once to each, however many commands it carries. */
export class AbortListeners {
  readonly #onAbort: (signal: AbortSignal) => void;
  readonly #listeners = new Map<AbortSignal, { count: number; listener: () => void }>();

  /** `onAbort` is called when a signal aborts that was added and not removed as often. */
  constructor(onAbort: (signal: AbortSignal) => void) {
    this.#onAbort = onAbort;
  }

  /** Counts one more command under the signal. */
  add(signal: AbortSignal): void {
    const known = this.#listeners.get(signal);
    if (known !== undefined) {
      known.count += 1;
      return;
    }
    const listener = () => this.#onAbort(signal);
    this.#listeners.set(signal, { count: 1, listener });
    signal.addEventListener("abort", listener);
  }

  /** Counts one less; the last one lets go of the signal. */
  remove(signal: AbortSignal): void {
    const known = this.#listeners.get(signal);
    if (known === undefined) return;
    known.count -= 1;
    if (known.count > 0) return;
    this.#listeners.delete(signal);
    signal.removeEventListener("abort", known.listener);
  }
}
