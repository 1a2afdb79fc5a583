import { Serial } from "./serial.ts";

/** Runs tasks of the same key one after another, and those of different keys side by side. */
export class KeyedSerial {
  readonly #entries = new Map<string, { readonly serial: Serial; users: number }>();

  /** Runs a task when those of its key before it are done. */
  async run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const entry = this.#entries.get(key) ?? { serial: new Serial(), users: 0 };
    this.#entries.set(key, entry);
    entry.users += 1;
    try {
      return await entry.serial.run(task);
    } finally {
      entry.users -= 1;
      if (entry.users === 0) this.#entries.delete(key);
    }
  }
}
