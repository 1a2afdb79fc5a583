import { readFile } from "node:fs/promises";
import { defaultServerWords } from "../../src/config/defaults.ts";
import { numberAfter, serversOf } from "../../src/config/server.ts";
import type { CheckOutcome } from "../../src/haproxy/check.ts";
import type { CheckRequest, Haproxy } from "../../src/haproxy/haproxy.ts";
import { createPatternFiles } from "../../src/haproxy/pattern-files.ts";
import type { ProcessState, Running } from "../../src/haproxy/process-state.ts";
import type { ReloadOutcome } from "../../src/haproxy/reload.ts";
import type { Runtime } from "../../src/haproxy/runtime.ts";
import type { ServerChange, ServerOutcome } from "../../src/haproxy/server-change.ts";
import type { ServerState } from "../../src/haproxy/server-states.ts";
import { createSslFiles } from "../../src/haproxy/ssl-files.ts";
import { DomainError } from "../../src/lib/errors.ts";
import { Document } from "../../src/text/document.ts";

/** A server as the scripted worker has it. */
interface RunningServer {
  readonly id: number;
  readonly idForced: boolean;
  readonly initialWeight: number;
  address: string;
  port: number;
  weight: number;
  state: "ready" | "drain" | "maint";
}

type Worker = Map<string, Map<string, RunningServer>>;

/** An HAProxy that does what the tests tell it: it reads the real files, and can be made to refuse, to wait and to die. */
export interface ScriptedHaproxy extends Haproxy {
  /** Everything it was asked to do, in order: `check`, `reload`, `add web/a`, `set web/a`, `delete web/a`. */
  readonly asked: string[];
  /** Awaited before a check ends. */
  beforeCheck: () => Promise<void>;
  /** Awaited before the new worker takes over; what it returns, if anything, is how the reload ends. */
  beforeReload: () => Promise<ReloadOutcome | undefined>;
  /** The refusal of a command, if it is to be refused. */
  refuse: (change: ServerChange) => DomainError | undefined;
  /** Somebody sets something at runtime. */
  byHand(backend: string, server: string, change: Partial<RunningServer>): void;
  /** Workers of earlier configurations that do not end. */
  keepOldWorkers(pids: readonly number[]): void;
  /** It starts anew from its files. */
  restart(): Promise<void>;
  /** The same, but it is down to whoever looks until it is seen. */
  startUnseen(): Promise<void>;
  beSeen(): void;
  /** `backend/server address:port weight state`, sorted. */
  servers(): string[];
}

/** A line with this word is refused by the scripted check and reload. */
export const BROKEN = "no-such-keyword";

export async function createScriptedHaproxy(files: readonly string[]): Promise<ScriptedHaproxy> {
  const listeners = new Set<Parameters<Haproxy["subscribe"]>[0]>();
  let state: ProcessState = { kind: "starting", since: new Date(0) };
  let worker: Worker = new Map();
  let pid = 100;
  let oldWorkers: readonly number[] = [];

  const setState = (next: ProcessState) => {
    const previous = state;
    state = next;
    for (const listener of listeners) listener(next, previous);
  };
  const running = (reloads: number): Running => ({
    kind: "running",
    since: new Date(0),
    version: { text: "2.6.12", major: 2, minor: 6, patch: 12 },
    masterPid: 99,
    workerPid: pid,
    reloads,
    failedReloads: 0,
    oldWorkerPids: oldWorkers,
  });
  const refusal = async (paths: readonly string[]): Promise<CheckOutcome["messages"]> => {
    const messages: CheckOutcome["messages"][number][] = [];
    for (const file of paths) {
      for (const [index, line] of (await readFile(file, "utf8")).split("\n").entries()) {
        if (line.includes(BROKEN))
          messages.push({ level: "alert", file, line: index + 1, message: `unknown keyword '${BROKEN}'` });
      }
    }
    return messages;
  };
  const load = async () => {
    const parts = await Promise.all(files.map(async (path) => ({ path, bytes: await readFile(path) })));
    worker = read(Document.parse(parts));
    pid += 1;
  };

  const apply = (change: ServerChange): ServerOutcome => {
    self.asked.push(`${change.kind} ${change.backend}/${change.server}`);
    const error = self.refuse(change) ?? change_(worker, change);
    return error === undefined ? { ok: true, workerPid: pid } : { ok: false, error };
  };

  const silent = async () => ({ severity: undefined, text: "", workerPid: pid });
  const runtime: Runtime = {
    info: async () => ({ version: running(0).version, pid, uptimeSeconds: 1, stopping: false, fields: {} }),
    stats: async () => ({ columns: [], rows: [], workerPid: 0 }),
    serverStates: async (backend) => {
      if (backend !== undefined && !worker.has(backend))
        throw new DomainError("HAPROXY_REFUSED", "Can't find backend.");
      return [...worker]
        .filter(([name]) => backend === undefined || name === backend)
        .flatMap(([name, servers]) => states(name, servers));
    },
    captureServerStates: () => runtime.serverStates(),
    applyServers: async (changes, { onOutcome } = {}) => {
      const outcomes = changes.map(apply);
      for (const [index, outcome] of outcomes.entries()) onOutcome?.(index, outcome);
      return outcomes;
    },
    execute: async () => "",
    sslFiles: createSslFiles(silent, silent),
    patternFiles: createPatternFiles(silent, silent),
    ask: async () => "",
    tell: async () => "",
  };

  const self: ScriptedHaproxy = {
    mode: "managed",
    standIns: undefined,
    capabilities: {
      version: running(0).version,
      reloadReportsOutcome: false,
      reloadSurvivesFailedStart: false,
    },
    runtime,
    asked: [],
    beforeCheck: async () => {},
    beforeReload: async () => undefined,
    refuse: () => undefined,
    get state() {
      return state;
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async start() {
      await load();
      setState(running(0));
    },
    async stop() {
      setState({ kind: "stopped", since: new Date(0) });
    },
    async check(request: CheckRequest) {
      self.asked.push("check");
      await self.beforeCheck();
      const messages = await refusal(request.files ?? files);
      return { ok: messages.length === 0, messages, tookMs: 1 };
    },
    async reload() {
      self.asked.push("reload");
      const told = await self.beforeReload();
      if (told !== undefined) return told;
      const messages = await refusal(files);
      if (messages.length > 0) return { kind: "refused", messages, log: "", tookMs: 1 };
      await load();
      setState(running(state.kind === "running" ? state.reloads + 1 : 0));
      return { kind: "succeeded", workerPid: pid, oldWorkerPids: [], messages: [], tookMs: 1 };
    },
    byHand(backend, server, change) {
      Object.assign(worker.get(backend)!.get(server)!, change);
    },
    keepOldWorkers(pids) {
      oldWorkers = pids;
      if (state.kind === "running") setState({ ...state, oldWorkerPids: pids });
    },
    async restart() {
      await self.startUnseen();
      self.beSeen();
    },
    async startUnseen() {
      setState({ kind: "down", since: new Date(0), reason: "it was told to", retryAt: new Date(0) });
      await load();
    },
    beSeen() {
      setState(running(0));
    },
    servers() {
      return [...worker]
        .flatMap(([backend, servers]) =>
          [...servers].map(
            ([name, { address, port, weight, state: admin }]) =>
              `${backend}/${name} ${address}:${port} ${weight} ${admin}`,
          ),
        )
        .sort();
    },
  };
  return self;
}

function read(document: Document): Worker {
  const worker: Worker = new Map();
  for (const section of document.list("backend", "listen")) {
    const inherited = numberAfter(defaultServerWords(document, section), "weight") ?? 1;
    const servers = serversOf(section).map(
      ({ name, address, port, weight = inherited, id, disabled }, index): [string, RunningServer] => [
        name,
        {
          id: id ?? index + 1,
          idForced: id !== undefined,
          initialWeight: weight,
          address,
          port,
          weight,
          state: disabled ? "maint" : "ready",
        },
      ],
    );
    worker.set(section.name, new Map(servers));
  }
  return worker;
}

function change_(worker: Worker, change: ServerChange): DomainError | undefined {
  const servers = worker.get(change.backend);
  const server = servers?.get(change.server);
  if (servers === undefined) return new DomainError("RESOURCE_NOT_FOUND", "No such backend.");
  if (change.kind === "add") {
    if (server !== undefined)
      return new DomainError("RESOURCE_EXISTS", "Already exists a server with the same name in backend.");
    const weight = numberAfter(change.words, "weight") ?? 1;
    const id = numberAfter(change.words, "id");
    servers.set(change.server, {
      ...{ id: id ?? servers.size + 1, idForced: id !== undefined, initialWeight: weight, weight },
      ...{
        address: change.address,
        port: change.port,
        state: change.state ?? (change.words.includes("disabled") ? "maint" : "ready"),
      },
    });
    return undefined;
  }
  if (server === undefined) return new DomainError("RESOURCE_NOT_FOUND", "No such server.");
  if (change.kind === "delete") servers.delete(change.server);
  else {
    if (change.address !== undefined) server.address = change.address;
    if (change.port !== undefined) server.port = change.port;
    if (typeof change.weight === "number") server.weight = change.weight;
    if (change.state !== undefined) server.state = change.state;
  }
  return undefined;
}

function states(backend: string, servers: Map<string, RunningServer>): ServerState[] {
  const check = {
    configured: false,
    enabled: false,
    paused: false,
    inProgress: false,
    result: "unknown",
  } as const;
  return [...servers].map(([server, it]) => ({
    ...{ backend, backendId: 1, server, serverId: it.id, idForced: it.idForced },
    ...{
      address: it.address,
      port: it.port,
      fqdn: "",
      operational: it.state === "maint" ? "stopped" : "running",
    },
    admin: {
      forcedMaint: it.state === "maint",
      forcedDrain: it.state === "drain",
      ...{ inheritedMaint: false, configuredMaint: false, inheritedDrain: false, unresolved: false },
    },
    ...{
      weight: it.weight,
      initialWeight: it.initialWeight,
      secondsSinceChange: 0,
      check,
      agent: check,
      usesSsl: false,
      columns: {},
    },
  }));
}
