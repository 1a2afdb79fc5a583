import { access, rm } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { create } from "@bufbuild/protobuf";
import type { Logger } from "pino";
import { CreateSourceRequestSchema } from "../../gen/haplane/v1/service_discovery_pb.js";
import type { Address } from "../lib/address.ts";
import type { Clock } from "../lib/clock.ts";
import { replaceFile } from "../lib/durable-file.ts";
import { DomainError } from "../lib/errors.ts";
import { ShutdownStack } from "../lib/shutdown-stack.ts";
import { type Server, startServer } from "../server.ts";
import type { Settings } from "../settings/settings.ts";
import { makeStateDirectory } from "../store/state-directory.ts";
import { banner } from "./banner.ts";
import { type ConsulAgent, ensureConsulAgent } from "./consul-agent.ts";
import { starterConfiguration } from "./starter.ts";

/** The source that watches the local Consul. */
const SOURCE = "local";
/** What backends are named after when there is no Consul. */
const DEFAULT_CONSUL: Address = { host: "127.0.0.1", port: 8500 };

/** What the embedded default is built from. */
export interface EmbeddedOptions {
  readonly settings: Settings;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly pid: number;
  readonly haproxyBinary: string;
  /** Undefined: none was found, which is an error unless Consul is left out or runs already. */
  readonly consulBinary: string | undefined;
  /** Paths are shown relative to it. */
  readonly workingDirectory: string;
  /** Ends the start when it aborts. */
  readonly signal: AbortSignal;
}

/** The whole main job on one machine. */
export interface Embedded {
  readonly server: Server;
  /** Where everything is and what to try. */
  readonly banner: string;
  /** Stops haplane, then HAProxy and, if it is ours, Consul. */
  stop(): Promise<void>;
}

/** Starts Consul, HAProxy and haplane with a source between them; the first time from a starter configuration. */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const { settings, logger, clock, pid, haproxyBinary, workingDirectory } = options;
  await using starting = new ShutdownStack();
  makeStateDirectory(settings.stateDir);
  await writeStarter(settings);

  const server = await startServer({ settings, logger, clock, pid, haproxyBinary });
  starting.defer(async () => {
    await server.stop({ haproxy: "end" });
    // HAProxy leaves the file of its socket behind; what has another name is not the starter's.
    await rm(statsSocketOf(settings), { force: true });
  });
  if (settings.consul !== undefined) {
    const agent = await startConsul(options, settings.consul);
    starting.defer(() => agent.stop());
    await ensureSource(server, settings.consul);
  }
  const running = starting.move();
  return {
    server,
    banner: banner(server, settings, (path) => relative(workingDirectory, path) || path),
    stop: () => running.stop(),
  };
}

async function writeStarter({ stateDir, config, http, consul = DEFAULT_CONSUL }: Settings): Promise<void> {
  const [path] = config;
  // A configuration that was there once and is gone is not ours to replace: its last revision is in the history.
  if (path === undefined || (await isThere(path)) || (await isThere(join(stateDir, "haplane.db")))) return;
  const stateFile = resolve(stateDir, "servers.state");
  const text = starterConfiguration({
    statsSocket: statsSocketOf({ stateDir }),
    stateFile,
    http,
    consul,
  });
  await replaceFile(path, Buffer.from(text), { expected: undefined });
}

/** Where the starter configuration has HAProxy open its stats socket. */
function statsSocketOf({ stateDir }: Pick<Settings, "stateDir">): string {
  return resolve(stateDir, "stats.sock");
}

async function startConsul(options: EmbeddedOptions, http: Address): Promise<ConsulAgent> {
  const { settings, logger, consulBinary: binary, signal } = options;
  const directory = join(resolve(settings.stateDir), "consul");
  return ensureConsulAgent({ binary, directory, http, logger: logger.child({ part: "consul" }), signal });
}

async function ensureSource(server: Server, { host, port }: Address): Promise<void> {
  const request = create(CreateSourceRequestSchema, {
    sourceId: SOURCE,
    source: {
      description: "The local Consul of npm start.",
      registry: { case: "consul", value: { address: host, port } },
    },
  });
  await server.sources.create(request).catch((error: unknown) => {
    if (!(error instanceof DomainError && error.reason === "RESOURCE_EXISTS")) throw error;
  });
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
