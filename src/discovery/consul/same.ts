import type { Instance, LeftOut } from "../registry.ts";
import type { ServiceAnswer, ServiceList } from "./answers.ts";

/** Whether two lists of services say the same. */
export function isSameList(a: ServiceList, b: ServiceList): boolean {
  return (
    isSameSet(a.taken, b.taken) &&
    a.ignored.size === b.ignored.size &&
    [...a.ignored].every(([name, reason]) => b.ignored.get(name) === reason)
  );
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

function isSameSet(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.size === b.size && [...a].every((name) => b.has(name));
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
