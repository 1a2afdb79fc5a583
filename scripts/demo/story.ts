import { setTimeout as sleep } from "node:timers/promises";
import type { ConsulAgent } from "../../test/support/consul.ts";
import { waitFor } from "../../test/support/wait.ts";
import { type Instance, startInstance } from "./instance.ts";
import { formatMs, type InstanceRow, type Score } from "./score.ts";
import type { WatchedHaplane } from "./watched-haplane.ts";

const FEWEST = 3;
const MOST = 6;
const STEP_MS = 600;
/** Far more than a step takes; the demo then ends with an error. */
const PATIENCE_MS = 10_000;

/** Where the story plays. */
export interface StoryOptions {
  readonly service: string;
  readonly backend: string;
  readonly consul: ConsulAgent;
  readonly haplane: WatchedHaplane;
  /** Resolves with the time of the first answer of an instance. */
  readonly firstAnswer: (name: string) => Promise<number>;
  readonly score: Score;
  readonly say: (line: string) => void;
  /** Ends the story when it aborts: nothing new begins. */
  readonly signal: AbortSignal;
}

/** Instances that come and go. */
export interface Story {
  /** Makes the first instances known, and resolves when HAProxy has all of them. */
  begin(): Promise<void>;
  /** One comes or goes at each step, until the signal. */
  goOn(): Promise<void>;
  /** Ends the processes of all instances that are left. */
  end(): Promise<void>;
}

/** An instance, and its row in the score. */
interface Member {
  readonly instance: Instance;
  readonly row: InstanceRow;
}

/** Writes it. */
export function createStory(options: StoryOptions): Story {
  const { service, backend, consul, haplane, firstAnswer, score, say, signal } = options;
  const live: Member[] = [];
  let last = 0;

  const since = () => `${((performance.now() - score.beganAt) / 1_000).toFixed(1).padStart(5)} s`;
  const inTime = <T>(what: string, promise: Promise<T>): Promise<T> => {
    const patience = AbortSignal.timeout(PATIENCE_MS);
    return Promise.race([
      promise,
      new Promise<never>((_, reject) => {
        patience.addEventListener("abort", () =>
          reject(new Error(`${what} has not happened within ${PATIENCE_MS} ms`)),
        );
      }),
    ]);
  };
  const untilPorts = (what: string, isSo: (ports: ReadonlySet<number>) => boolean) =>
    waitFor(what, async () => isSo(await haplane.serverPorts(backend)), {
      timeoutMs: PATIENCE_MS,
      everyMs: 5,
    });

  async function start(name = `app-${++last}`): Promise<Member> {
    const instance = await startInstance(name);
    return { instance, row: { name, port: instance.port, state: "joining" } };
  }

  function enter(member: Member): void {
    live.push(member);
    score.instances.push(member.row);
  }

  async function join(): Promise<void> {
    const member = await start();
    enter(member);
    const { name, port } = member.instance;
    const event = haplane.eventAbout(port);
    const served = firstAnswer(name);
    const began = performance.now();
    await consul.register({ id: name, service, port });
    const eventMs = (await inTime(`the event about ${name}`, event)) - began;
    const servedMs = (await inTime(`the first request to ${name}`, served)) - began;
    member.row.state = "serving";
    score.eventMs.push(eventMs);
    score.servedMs.push(servedMs);
    say(
      `${since()}  + ${name} registered: event after ${formatMs(eventMs)}, first request served after ${formatMs(servedMs)}`,
    );
  }

  async function leave(): Promise<void> {
    const [member] = live;
    if (member === undefined) return;
    const { instance, row } = member;
    row.state = "leaving";
    const began = performance.now();
    await consul.deregister(instance.name);
    await untilPorts(`${instance.name} to leave HAProxy`, (ports) => !ports.has(instance.port));
    const goneMs = performance.now() - began;
    // Nobody sends it anything any more.
    await instance.end();
    live.shift();
    row.state = "gone";
    row.goneAt = performance.now();
    score.goneMs.push(goneMs);
    say(
      `${since()}  - ${instance.name} deregistered: out of HAProxy after ${formatMs(goneMs)}, its process is ended`,
    );
  }

  return {
    async begin() {
      const first = await Promise.all(Array.from({ length: FEWEST }, () => start()));
      first.forEach(enter);
      for (const { instance } of first) {
        await consul.register({ id: instance.name, service, port: instance.port });
      }
      await untilPorts("the first instances in HAProxy", (ports) =>
        first.every(({ row }) => ports.has(row.port)),
      );
      for (const { row } of first) row.state = "serving";
    },
    async goOn() {
      let isGrowing = true;
      while (!signal.aborted) {
        if (live.length >= MOST) isGrowing = false;
        if (live.length <= FEWEST) isGrowing = true;
        const step = sleep(STEP_MS, undefined, { signal }).catch(() => {});
        await (isGrowing ? join() : leave());
        await step;
      }
    },
    async end() {
      await Promise.all(live.map(({ instance }) => instance.end()));
    },
  };
}
