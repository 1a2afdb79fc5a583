/** Work in small steps: it yields wherever others may be let run. */
export type Steps<T> = Generator<void, T, void>;

/** How many steps are made before others are let run. */
const AT_A_STRETCH = 64;

/** Does all of it at once. */
export function runSteps<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** Does it in stretches, between which everything else that is due in the process runs. */
export async function runStepsGently<T>(steps: Steps<T>): Promise<T> {
  for (let made = 1; ; made++) {
    const step = steps.next();
    if (step.done === true) return step.value;
    if (made % AT_A_STRETCH === 0) await new Promise(setImmediate);
  }
}
