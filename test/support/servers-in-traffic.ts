import type { TestHaplane } from "./haplane.ts";

/** Names of the servers of a backend that take traffic, as HAProxy has them. */
export async function serversInTraffic(
  { ask }: Pick<TestHaplane, "ask">,
  backend: string,
): Promise<string[]> {
  const answer = await ask(`show servers state ${backend}`);
  return answer
    .split("\n")
    .slice(2)
    .filter((line) => line !== "" && line.split(" ")[6] === "0")
    .map((line) => line.split(" ")[3] as string)
    .sort();
}
