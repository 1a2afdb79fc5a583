import { spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { endChild } from "./child.ts";
import { freePort } from "./ports.ts";
import { findProgram } from "./programs.ts";
import { waitFor } from "./wait.ts";

/** An instance to register with the agent. */
export interface Registration {
  readonly id: string;
  readonly service: string;
  readonly port: number;
  /** Default 127.0.0.1. */
  readonly address?: string;
  readonly weight?: number;
  readonly tags?: readonly string[];
  readonly metadata?: Readonly<Record<string, string>>;
  readonly taggedAddresses?: Readonly<Record<string, { readonly address: string; readonly port: number }>>;
  /** Registers a check that never passes by itself, with this status at first. */
  readonly status?: "passing" | "warning" | "critical";
}

/** What can be told to a Consul agent that runs. */
export interface ConsulAgent {
  register(registration: Registration): Promise<void>;
  deregister(id: string): Promise<void>;
  /** Sets the status of an instance that was registered with one. */
  setStatus(id: string, status: "passing" | "warning" | "critical"): Promise<void>;
  /** Puts an instance into maintenance, or ends that. */
  setMaintenance(id: string, enable: boolean): Promise<void>;
}

/** A Consul server that runs for one test, in memory only. */
export interface TestConsul extends ConsulAgent {
  readonly address: string;
  readonly port: number;
  /** Stops the process where it is: connections stay open and nobody answers. */
  pause(): void;
  resume(): void;
  /** Ends it. A new one can be started on the same port, and knows nothing. */
  stop(): Promise<void>;
}

const ADDRESS = "127.0.0.1";

/** A server that is a cluster of its own, as quick to elect itself as `-dev` makes it. */
const keeping = (dataDir: string) => [
  "-server",
  "-bootstrap-expect=1",
  `-data-dir=${dataDir}`,
  "-hcl=performance { raft_multiplier = 1 }",
];

/**
 * Starts a Consul and waits until it has a leader and knows its own node. `port`: where its HTTP API listens; default a free one. `hcl`: more of its configuration. `dataDir`: where it keeps what it
 * knows; default nowhere.
 */
export async function startConsul(
  port?: number,
  hcl: readonly string[] = [],
  dataDir?: string,
): Promise<TestConsul> {
  const binary = findProgram("consul");
  if (binary === undefined) throw new Error("there is no consul: node scripts/setup.mjs test");
  const http = port ?? (await freePort());
  const dir = mkdtempSync(join(tmpdir(), "haplane-consul-"));
  const logFile = join(dir, "consul.log");
  const log = openSync(logFile, "a", 0o600);
  const child = spawn(
    binary,
    [
      "agent",
      ...(dataDir === undefined ? ["-dev"] : keeping(dataDir)),
      ...["-node=test", `-bind=${ADDRESS}`, `-client=${ADDRESS}`, `-http-port=${http}`],
      ...["-dns-port=-1", "-grpc-port=-1", "-serf-wan-port=-1"],
      ...[`-serf-lan-port=${await freePort()}`, `-server-port=${await freePort()}`],
      ...["disable_update_check = true", ...hcl].map((text) => `-hcl=${text}`),
    ],
    { stdio: ["ignore", log, log] },
  );
  closeSync(log);
  const base = `http://${ADDRESS}:${http}/v1`;
  const stop = async () => {
    child.kill("SIGCONT");
    await endChild(child, "SIGKILL", 0);
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    await waitFor("Consul to have a leader", async () => {
      if (child.exitCode !== null) throw new Error(`Consul ended: ${readFileSync(logFile, "utf8")}`);
      const nodes = await fetch(`${base}/catalog/nodes`, { signal: AbortSignal.timeout(1_000) });
      return nodes.ok && ((await nodes.json()) as unknown[]).length > 0;
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    address: ADDRESS,
    port: http,
    ...consulAgent(http),
    pause: () => void child.kill("SIGSTOP"),
    resume: () => void child.kill("SIGCONT"),
    stop,
  };
}

/** The agent whose HTTP API listens at a port of 127.0.0.1. */
export function consulAgent(port: number): ConsulAgent {
  const base = `http://${ADDRESS}:${port}/v1`;
  return {
    register: ({
      id,
      service,
      port,
      address = ADDRESS,
      weight,
      status,
      tags,
      metadata,
      taggedAddresses = {},
    }) =>
      put(`${base}/agent/service/register`, {
        ID: id,
        Name: service,
        Address: address,
        Port: port,
        Tags: tags,
        Meta: metadata,
        TaggedAddresses: Object.fromEntries(
          Object.entries(taggedAddresses).map(([tag, { address, port }]) => [
            tag,
            { Address: address, Port: port },
          ]),
        ),
        ...(weight === undefined ? {} : { Weights: { Passing: weight, Warning: 1 } }),
        ...(status === undefined ? {} : { Check: { CheckID: `check:${id}`, TTL: "1h", Status: status } }),
      }),
    deregister: (id) => put(`${base}/agent/service/deregister/${encodeURIComponent(id)}`),
    setStatus: (id, status) =>
      put(`${base}/agent/check/update/${encodeURIComponent(`check:${id}`)}`, { Status: status }),
    setMaintenance: (id, enable) =>
      put(`${base}/agent/service/maintenance/${encodeURIComponent(id)}?enable=${enable}`),
  };
}

async function put(url: string, body?: unknown): Promise<void> {
  const answer = await fetch(url, {
    method: "PUT",
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`PUT ${url}: ${answer.status} ${text}`);
}
