/** A thread of the worker (management guide, section 9.3, `show threads`). */
export interface Thread {
  readonly number: number;
  readonly active: boolean;
  readonly stuck: boolean;
  /** What HAProxy prints as `name=value` before it says what the thread was doing. */
  readonly fields: Readonly<Record<string, string>>;
  readonly text: string;
}

const HEAD = /^[*> ]+Thread (\d+) *:/;

/** Reads the answer to `show threads`. */
export function parseThreads(answer: string): Thread[] {
  const blocks: string[][] = [];
  for (const line of answer.split("\n")) {
    if (HEAD.test(line)) blocks.push([]);
    blocks.at(-1)?.push(line);
  }
  return blocks.map((lines) => {
    const doing = lines.findIndex((line) => line.includes("curr_task="));
    const facts = (doing === -1 ? lines : lines.slice(0, doing)).join(" ");
    const fields = Object.fromEntries(
      [...facts.matchAll(/([a-z_]+)=(\S+)/g)].map(([, name, value]) => [name as string, value as string]),
    );
    return {
      number: Number(HEAD.exec(lines[0] as string)?.[1]),
      active: fields.act === "1",
      stuck: fields.stuck === "1",
      fields,
      text: lines.join("\n").trimEnd(),
    };
  });
}

/** A counter of `show activity`. */
export interface ActivityCounter {
  readonly name: string;
  readonly total: bigint;
  /** By thread. */
  readonly threads: readonly bigint[];
}

/** What the threads have done. */
export interface Activity {
  readonly counters: readonly ActivityCounter[];
  /** Lines that are no counters, by name. */
  readonly other: Readonly<Record<string, string>>;
}

/** Reads the answer to `show activity`. With a single thread HAProxy prints no list. */
export function parseActivity(answer: string): Activity {
  const counters: ActivityCounter[] = [];
  const other: Record<string, string> = {};
  for (const line of answer.split("\n")) {
    const [, name, value = ""] = /^(\w+): (.*)$/.exec(line) ?? [];
    if (name === undefined) continue;
    const [, total, list = ""] = /^(\d+)(?: \[ ((?:\d+ )+)\])?$/.exec(value.trimEnd()) ?? [];
    if (total === undefined) other[name] = value;
    else
      counters.push({
        name,
        total: BigInt(total),
        threads: list.trim() === "" ? [BigInt(total)] : list.trim().split(" ").map(BigInt),
      });
  }
  return { counters, other };
}
