import { malformed, object, text } from "./fields.ts";

/** What the checks of a cluster say, for one service or for one node (with an empty service). */
export type Checks = ReadonlyMap<string, CheckFacts>;

/** A check and whom it is about. */
interface CheckFacts {
  readonly node: string;
  /** Empty for a check of the node. */
  readonly service: string;
  readonly status: string;
}

/** Reads the answer of `/v1/health/state/any`, by node and check. Throws `CONSUL_UNAVAILABLE` when it is anything else. */
export function readChecks(body: unknown): Checks {
  if (!Array.isArray(body)) throw malformed("the checks are not a list");
  const checks = new Map<string, CheckFacts>();
  for (const element of body as readonly unknown[]) {
    const check = object(element, "a check");
    const node = text(check.Node, "a check's Node");
    const id = text(check.CheckID, "a check's CheckID");
    const service = text(check.ServiceName ?? "", "a check's ServiceName");
    checks.set(`${node}\n${id}`, { node, service, status: text(check.Status, "a check's Status") });
  }
  return checks;
}

/** The checks that are not the same in both. */
export function changedChecks(before: Checks, now: Checks): CheckFacts[] {
  const changed: CheckFacts[] = [];
  for (const [key, check] of now) {
    const old = before.get(key);
    if (old?.status !== check.status || old.service !== check.service) changed.push(check);
    if (old !== undefined && old.service !== check.service) changed.push(old);
  }
  for (const [key, check] of before) if (!now.has(key)) changed.push(check);
  return changed;
}
