/** Rounds that compile, and do not count. */
const WARM_UP = 3;

/**
 * The best time of each function in milliseconds, over rounds in which each runs once: what disturbs the machine for a
 * while disturbs all of them, and what disturbs a single round does not count.
 */
export function interleaved<Name extends string>(
  rounds: number,
  functions: Readonly<Record<Name, () => unknown>>,
): Record<Name, number> {
  const names = Object.keys(functions) as Name[];
  const best = Object.fromEntries(names.map((name) => [name, Number.POSITIVE_INFINITY])) as Record<
    Name,
    number
  >;
  for (let round = -WARM_UP; round < rounds; round++) {
    for (const name of names) {
      const start = performance.now();
      sink = functions[name]();
      const took = performance.now() - start;
      if (round >= 0) best[name] = Math.min(best[name], took);
    }
  }
  return best;
}

/** Keeps results reachable, so that no work is optimised away. */
export let sink: unknown;
