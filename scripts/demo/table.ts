import type { Traffic } from "../../test/support/traffic.ts";
import { describeTimes, formatCount, type Score } from "./score.ts";

const BAR_WIDTH = 24;
/** How long an instance that is gone stays in the table. */
const GONE_MS = 1_500;

/** What of the traffic is shown. */
export type TrafficFigures = Pick<Traffic, "total" | "failures" | "served">;

/** The table: the instances, then what all of it amounts to. */
export function tableLines(score: Score, traffic: TrafficFigures, now: number): string[] {
  const rows = score.instances.filter(({ goneAt }) => goneAt === undefined || now - goneAt < GONE_MS);
  const requests = ({ name }: { name: string }) => traffic.served.get(name) ?? 0;
  const most = Math.max(1, ...rows.map(requests));
  return [
    `${"instance".padEnd(10)}${"port".padEnd(8)}${"state".padEnd(10)}${"requests".padStart(9)}`,
    ...rows.map((row) => {
      const bar = "█".repeat(Math.round((requests(row) / most) * BAR_WIDTH));
      const count = formatCount(requests(row)).padStart(9);
      return `${row.name.padEnd(10)}${String(row.port).padEnd(8)}${row.state.padEnd(10)}${count}  ${bar}`.trimEnd();
    }),
    "",
    ...figureLines(score, traffic, now),
  ];
}

/** The figures below the table, which are the summary too. */
export function figureLines(score: Score, traffic: TrafficFigures, now: number): string[] {
  const seconds = ((score.endedAt ?? now) - score.beganAt) / 1_000;
  const perSecond = formatCount(Math.round(traffic.total / Math.max(seconds, 0.001)));
  const worker = score.sameWorker ? "the same worker since" : "ANOTHER WORKER SINCE";
  return [
    `requests   ${formatCount(traffic.total)} in ${seconds.toFixed(1)} s (${perSecond}/s, on kept and on new connections)`,
    `failures   ${formatCount(traffic.failures.length)}`,
    `reloads    ${score.reloadsSince} since the service was new (that cost ${score.reloadsAtFirst}); ${worker}`,
    `register → event on a watch       ${describeTimes(score.eventMs)}`,
    `register → first request served   ${describeTimes(score.servedMs)}`,
    `deregister → out of HAProxy       ${describeTimes(score.goneMs)}`,
  ];
}
