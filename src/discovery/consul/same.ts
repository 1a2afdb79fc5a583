import type { ServiceList } from "./answers.ts";

/** Whether two lists of services say the same. */
export function isSameList(a: ServiceList, b: ServiceList): boolean {
  return (
    isSameSet(a.taken, b.taken) &&
    a.ignored.size === b.ignored.size &&
    [...a.ignored].every(([name, reason]) => b.ignored.get(name) === reason)
  );
}

function isSameSet(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.size === b.size && [...a].every((name) => b.has(name));
}
