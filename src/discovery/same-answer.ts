import type { Instance, LeftOut } from "./registry.ts";

/** What a registry says about a service. */
export interface ServiceAnswer {
  readonly instances: readonly Instance[];
  /** The others. */
  readonly leftOut: readonly LeftOut[];
}

/** Whether two answers about a service say the same, in the same order. */
export function isSameAnswer(a: ServiceAnswer, b: ServiceAnswer): boolean {
  return (
    a.instances.length === b.instances.length &&
    a.leftOut.length === b.leftOut.length &&
    a.instances.every((instance, i) => isSameInstance(instance, b.instances[i] as Instance)) &&
    a.leftOut.every((left, i) => isSameLeftOut(left, b.leftOut[i] as LeftOut))
  );
}

function isSameInstance(a: Instance, b: Instance): boolean {
  return (
    a.node === b.node &&
    a.id === b.id &&
    a.address === b.address &&
    a.port === b.port &&
    a.weight === b.weight
  );
}

function isSameLeftOut(a: LeftOut, b: LeftOut): boolean {
  return a.node === b.node && a.id === b.id && a.reason === b.reason;
}
