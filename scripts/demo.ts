/**
 * Shows what haplane is for: instances of a small HTTP application come and go in Consul while traffic flows through HAProxy. `npm run demo`, or
 * `npm run demo -- --seconds N`. Everything runs on free ports and in a state directory of its own, and is gone afterwards. Exit code 1 when a request failed.
 */

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { consulAgent } from "../test/support/consul.ts";
import { root } from "../test/support/programs.ts";
import { endEverything, startCommand, startPorts } from "../test/support/start.ts";
import { startTraffic, type Traffic } from "../test/support/traffic.ts";
import { waitFor } from "../test/support/wait.ts";
import { openDisplay } from "./demo/display.ts";
import { describeShares, newScore, type Score } from "./demo/score.ts";
import { createStory } from "./demo/story.ts";
import { figureLines, tableLines } from "./demo/table.ts";
import { watchHaplane } from "./demo/watched-haplane.ts";

const SERVICE = "shop";
/** Clients that keep their connection, clients that open one for each request, and how long each waits after an answer. */
const CLIENTS = { keeping: 6, opening: 2, pauseMs: 8 };
const NO_TRAFFIC = { total: 0, failures: [], served: new Map<string, number>() };

const { values } = parseArgs({ options: { seconds: { type: "string", default: "16" } } });
const seconds = Number(values.seconds);
if (Number.isFinite(seconds) && seconds > 0) {
  process.exitCode = await demo(seconds * 1_000);
} else {
  console.error(`--seconds is "${values.seconds}"; write a number above 0`);
  process.exitCode = 2;
}

/** Returns the exit code. */
async function demo(durationMs: number): Promise<number> {
  const interruption = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, () => interruption.abort());
  // Nobody looks any more: `npm run demo | head`, or a terminal that was closed.
  process.stdout.on("error", () => interruption.abort());
  const say = (line: string) => void process.stdout.write(`${line}\n`);
  try {
    const { score, traffic } = await play(durationMs, interruption.signal, say);
    say(`\n${score.servedMs.length} instances came and ${score.goneMs.length} went under traffic.\n`);
    for (const line of figureLines(score, traffic, performance.now())) say(`  ${line}`);
    say(`  each instance served ${describeShares(score.instances, traffic.served)}`);
    for (const failure of new Set(traffic.failures)) say(`  failed: ${failure}`);
    return traffic.failures.length === 0 ? 0 : 1;
  } catch (error) {
    if (error === interruption.signal.reason) {
      say("Interrupted before there was anything to show; nothing is left running.");
      return 0;
    }
    console.error(`The demo has failed: ${error instanceof Error ? error.message : error}`);
    return 1;
  }
}

/** Sets the stage, plays, and clears it again, whatever happens. */
async function play(
  durationMs: number,
  interrupted: AbortSignal,
  say: (line: string) => void,
): Promise<{ score: Score; traffic: Traffic }> {
  await using stage = new AsyncDisposableStack();
  mkdirSync(join(root, ".haplane"), { recursive: true });
  const stateDir = mkdtempSync(join(root, ".haplane", "demo-"));
  stage.defer(() => rmSync(stateDir, { recursive: true, force: true }));
  stage.defer(() => endEverything(stateDir));

  say(`Starting Consul, HAProxy and haplane, as npm start does, in ${relative(root, stateDir)} …`);
  const started = await startCommand({ stateDir, ports: await startPorts() });
  stage.defer(async () => void (await started.interrupt()));
  const haplane = watchHaplane(started);
  stage.defer(() => haplane.stop());
  const atFirst = await haplane.haproxy();

  const score = newScore();
  const firstAnswers = new Map<string, (at: number) => void>();
  let traffic: Traffic | undefined;
  const display = openDisplay(process.stdout, () =>
    tableLines(score, traffic ?? NO_TRAFFIC, performance.now()),
  );
  stage.defer(() => display.close());
  const ending = new AbortController();
  const story = createStory({
    service: SERVICE,
    backend: `consul-backend-127.0.0.1-${started.ports.consul}-${SERVICE}`,
    consul: consulAgent(started.ports.consul),
    haplane,
    firstAnswer: (name) => new Promise((resolve) => firstAnswers.set(name, resolve)),
    score,
    say: display.say,
    signal: AbortSignal.any([interrupted, ending.signal]),
  });
  stage.defer(() => story.end());
  interrupted.throwIfAborted();

  await story.begin();
  const ready = await haplane.haproxy();
  score.reloadsAtFirst = ready.reloads - atFirst.reloads;
  display.say(`HAProxy ${ready.version} serves the new service; from now on nothing may be reloaded.`);

  score.beganAt = performance.now();
  traffic = startTraffic({
    url: `http://127.0.0.1:${started.ports.http}/${SERVICE}/`,
    ...CLIENTS,
    isExpected: (name) => /^app-\d+$/.test(name),
    onAnswer(name) {
      firstAnswers.get(name)?.(performance.now());
      firstAnswers.delete(name);
    },
  });
  const { stop } = traffic;
  stage.defer(stop);
  const account = async () => {
    const { reloads, workerPid } = await haplane.haproxy();
    score.reloadsSince = reloads - ready.reloads;
    score.sameWorker = workerPid === ready.workerPid;
    return true;
  };
  const timeIsUp = sleep(durationMs, undefined, { signal: AbortSignal.any([interrupted, ending.signal]) })
    .catch(() => {})
    .then(() => ending.abort());
  const accounting = (async () => {
    // A HAProxy that is away is accounted for when it is back.
    while (!ending.signal.aborted) await Promise.all([account().catch(() => {}), sleep(500)]);
  })();
  await story.goOn().finally(() => ending.abort());
  await Promise.all([timeIsUp, accounting]);
  await waitFor("HAProxy's account of itself", account);
  await stop();
  score.endedAt = performance.now();
  return { score, traffic };
}
