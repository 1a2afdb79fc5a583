import { EventEmitter } from "node:events";
import { Agent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { isIPv6 } from "node:net";
import Consul from "consul";
import { formatAddress } from "../../lib/address.ts";
import { DomainError } from "../../lib/errors.ts";
import { type Body, bodyOf } from "./body.ts";
import { guard, type Transport } from "./guard.ts";
import type { ConsulSettings } from "./settings.ts";

/** How a query is to be answered. */
export type QueryMode =
  /** At once, from what the agent's cluster holds. */
  | { readonly kind: "now" }
  /** At once, after the leader has made sure that it still is the leader. */
  | { readonly kind: "consistent" }
  /** When the index is above this one, or after `waitMs` (and up to a sixteenth longer, as Consul spreads it). */
  | { readonly kind: "blocking"; readonly index: bigint; readonly waitMs: number };

/** An answer with status 200, its body not yet looked at. */
export interface Answer {
  readonly body: Body;
  /** X-Consul-Index, at least 1. */
  readonly index: bigint;
  /** False when the agent says that its cluster has no leader. */
  readonly hasLeader: boolean;
  /** Consul (1.12 and newer) left something out that the token may not see. */
  readonly isFiltered: boolean;
}

/** The queries that discovery makes. All reject with `CONSUL_UNAVAILABLE`, or with `CANCELLED` as soon as the signal aborts. */
export interface ConsulClient {
  services(mode: QueryMode, signal: AbortSignal): Promise<Answer>;
  instances(service: string, mode: QueryMode, signal: AbortSignal): Promise<Answer>;
  nodes(mode: QueryMode, signal: AbortSignal): Promise<Answer>;
  /** A node with its services. */
  node(node: string, mode: QueryMode, signal: AbortSignal): Promise<Answer>;
  /** All checks of all nodes and services. */
  checks(mode: QueryMode, signal: AbortSignal): Promise<Answer>;
  /** The address of the leader of the cluster; empty when it has none. */
  leader(signal: AbortSignal): Promise<unknown>;
  /** Closes every connection. */
  close(): void;
}

/** Bounds of a query. */
export interface ClientLimits {
  /** How long an answer may take, beyond the time that it was asked to wait. */
  readonly answerMs: number;
  /** The largest answer that is read. */
  readonly maxBytes: number;
}

/** The package's own way to cut a request short and to get at the response; it takes any emitter as `ctx`. */
class RequestContext extends EventEmitter {
  readonly includeResponse = true;
}

/** A request on its way through the package, as its `onRequest` extensions see it. */
interface PackageRequest {
  transport: Transport;
  /** The options of `http.request`. */
  readonly req: { hostname: string; path: string };
  readonly opts: { buffer?: boolean };
}

/** The parts of the package that its types leave out. */
interface UntypedConsul {
  _ext(event: "onRequest", extension: (request: PackageRequest, next: () => void) => void): void;
}

type Response = { headers: { [name: string]: string | string[] | undefined } };

const KEEP_ALIVE_PROBE_MS = 15_000;
const MAX_QUOTED = 200;
const NOTHING = Buffer.alloc(0);

/** A client of one Consul agent, over kept connections: one for each query that waits. */
export function createConsulClient(settings: ConsulSettings, limits: ClientLimits): ConsulClient {
  const agent = createAgent(settings);
  const host = isIPv6(settings.address) ? `[${settings.address}]` : settings.address;
  const consul = new Consul({ host, port: settings.port, secure: settings.tls !== undefined, agent });
  (consul as unknown as UntypedConsul)._ext("onRequest", (request, next) => {
    // The package leaves the brackets of the URL on, and then looks for a host of that name.
    request.req.hostname = settings.address;
    // The package knows no namespaces.
    if (settings.namespace !== "")
      request.req.path += `${request.req.path.includes("?") ? "&" : "?"}ns=${encodeURIComponent(settings.namespace)}`;
    request.transport = guard(request.transport, limits.maxBytes);
    // Whoever gets the answer may know what it says without its being read.
    request.opts.buffer = true;
    next();
  });

  async function ask<T>(
    what: string,
    options: object,
    waitMs: number,
    signal: AbortSignal,
    call: (options: never) => Promise<unknown>,
  ): Promise<T> {
    if (signal.aborted) throw cancelled();
    const ctx = new RequestContext();
    const cut = () => ctx.emit("cancel");
    signal.addEventListener("abort", cut, { once: true });
    const timeout = waitMs + waitMs / 16 + limits.answerMs;
    try {
      const { token, datacenter: dc, partition } = settings;
      return (await call({ ...options, token, dc, partition, ctx, timeout } as never)) as T;
    } catch (error) {
      throw signal.aborted ? cancelled() : unavailable(what, error, settings);
    } finally {
      signal.removeEventListener("abort", cut);
    }
  }

  async function query(
    what: string,
    options: object,
    mode: QueryMode,
    signal: AbortSignal,
    call: (options: never) => Promise<unknown>,
  ): Promise<Answer> {
    const waitMs = mode.kind === "blocking" ? mode.waitMs : 0;
    const [response, bytes] = await ask<[Response, Buffer | undefined]>(
      what,
      { ...options, ...modeOptions(mode) },
      waitMs,
      signal,
      call,
    );
    return readAnswer(what, response, bodyOf(bytes ?? NOTHING, what));
  }

  return {
    services: (mode, signal) =>
      query("services", {}, mode, signal, (options) => consul.catalog.services(options)),
    instances: (service, mode, signal) =>
      query(`instances of "${service}"`, { service }, mode, signal, (options) =>
        consul.health.service(options),
      ),
    nodes: (mode, signal) => query("nodes", {}, mode, signal, (options) => consul.catalog.node.list(options)),
    node: (node, mode, signal) =>
      query(`services of node "${node}"`, { node }, mode, signal, (options) =>
        consul.catalog.node.services(options),
      ),
    checks: (mode, signal) =>
      query("checks", { state: "any" }, mode, signal, (options) => consul.health.state(options)),
    async leader(signal) {
      const [, bytes] = await ask<[Response, Buffer | undefined]>("leader", {}, 0, signal, (options) =>
        consul.status.leader(options),
      );
      return bodyOf(bytes ?? NOTHING, "leader").read();
    },
    close: () => agent.destroy(),
  };
}

function createAgent({ tls }: ConsulSettings): Agent {
  const options = { keepAlive: true, keepAliveMsecs: KEEP_ALIVE_PROBE_MS };
  if (tls === undefined) return new Agent(options);
  return new HttpsAgent({
    ...options,
    ...(tls.caCertificates !== "" && { ca: tls.caCertificates }),
    ...(tls.clientCertificate !== "" && { cert: tls.clientCertificate, key: tls.clientKey }),
    ...(tls.serverName !== "" && { servername: tls.serverName }),
  });
}

function modeOptions(mode: QueryMode): object {
  switch (mode.kind) {
    case "now":
      return {};
    case "consistent":
      return { consistent: true };
    case "blocking":
      return { index: String(mode.index), wait: `${mode.waitMs}ms` };
  }
}

function readAnswer(what: string, response: Response, body: Body): Answer {
  const index = response.headers["x-consul-index"];
  if (typeof index !== "string" || !/^\d{1,20}$/.test(index)) {
    throw new DomainError(
      "CONSUL_UNAVAILABLE",
      `the answer to the query for ${what} is not Consul's: it has no X-Consul-Index`,
    );
  }
  return {
    body,
    // A query with index 0 is not a blocking one: it would come back at once, and again.
    index: index === "0" ? 1n : BigInt(index),
    hasLeader: response.headers["x-consul-knownleader"] !== "false",
    isFiltered: response.headers["x-consul-results-filtered-by-acls"] === "true",
  };
}

function cancelled(): DomainError {
  return new DomainError("CANCELLED", "the query was cancelled");
}

/** The package's errors hold the request, and with it the token: only plain facts are taken from them. */
function unavailable(what: string, error: unknown, settings: ConsulSettings): DomainError {
  const { message, status, body } = factsOf(error);
  const quoted = body === "" ? "" : `: "${body}"`;
  const sentence = `Consul at ${formatAddress({ host: settings.address, port: settings.port })}, query for ${what}: ${message}${quoted}`;
  return new DomainError(
    "CONSUL_UNAVAILABLE",
    settings.token === "" ? sentence : sentence.replaceAll(settings.token, "…"),
    {
      metadata: status === undefined ? {} : { status: String(status) },
    },
  );
}

function factsOf(error: unknown): { message: string; status?: number; body: string } {
  const { message, response } = error as {
    message?: string;
    response?: { statusCode?: number; body?: unknown };
  };
  const status = response?.statusCode;
  const text = Buffer.isBuffer(response?.body) ? response.body.toString("utf8") : response?.body;
  const isError = status !== undefined && (status < 200 || status > 299);
  return {
    message: isError ? `status ${status}` : printable(String(message).replace(/^consul: (?:[a-z.]+: )?/, "")),
    ...(status === undefined ? {} : { status }),
    body: isError && typeof text === "string" ? printable(text) : "",
  };
}

function printable(text: string): string {
  const clean = text
    .slice(0, MAX_QUOTED)
    .replace(/[^\x20-\x7e]+/g, " ")
    .trim();
  return text.length > MAX_QUOTED ? `${clean}…` : clean;
}
