import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";

/** What a scripted Consul knows of an instance. */
export interface ScriptedInstance {
  readonly id: string;
  readonly port: number;
  readonly address?: string;
  readonly weight?: number;
  readonly status?: string;
}

/** A request that came in. */
export interface ScriptedRequest {
  readonly path: string;
  readonly query: URLSearchParams;
  readonly token: string | undefined;
  readonly atMs: number;
}

/** Answers a request in the server's stead; `false` lets the server answer. */
export type Misbehaviour = (request: ScriptedRequest, response: ServerResponse) => boolean;

/** Blocking queries and their index, as Consul's HTTP API has them, by a server that misbehaves when told to. */
export interface ScriptedConsul {
  readonly address: string;
  readonly port: number;
  readonly requests: readonly ScriptedRequest[];
  /** Connections that are open now. */
  readonly connections: number;
  /** Sets the instances of a service, or removes it, and answers the queries that wait for that. */
  set(service: string, instances: readonly ScriptedInstance[] | undefined): void;
  /** Moves the index on without any change, and answers the queries that wait. */
  churn(): void;
  /** Sets the index, as a restored or new server has it, and answers the queries that wait. */
  setIndex(index: number): void;
  /** Sets what `/v1/status/leader` answers. */
  setLeader(leader: string): void;
  /** Answers in the server's stead from now on; undefined lets it behave. */
  misbehave(how: Misbehaviour | undefined): void;
  /** Cuts every connection. */
  disconnect(): void;
  stop(): Promise<void>;
}

/** Starts one without services; on a free port unless one is given. */
export async function startScriptedConsul(address = "127.0.0.1", wanted = 0): Promise<ScriptedConsul> {
  const services = new Map<string, readonly ScriptedInstance[]>();
  const requests: ScriptedRequest[] = [];
  const waiting = new Set<() => void>();
  const sockets = new Set<Socket>();
  let index = 10;
  let leader = "127.0.0.1:8300";
  let misbehaviour: Misbehaviour | undefined;

  function wake(): void {
    for (const answer of [...waiting]) answer();
  }

  function handle(message: IncomingMessage, response: ServerResponse): void {
    const url = new URL(message.url ?? "/", "http://consul");
    const token = message.headers["x-consul-token"] as string | undefined;
    const request = { path: url.pathname, query: url.searchParams, token, atMs: performance.now() };
    requests.push(request);
    if (misbehaviour?.(request, response)) return;
    const wanted = Number(request.query.get("index") ?? 0);
    if (wanted === 0 || wanted < index) answer(request, response);
    else answerLater(request, response);
  }

  function answerLater(request: ScriptedRequest, response: ServerResponse): void {
    const later = () => {
      clearTimeout(timer);
      waiting.delete(later);
      answer(request, response);
    };
    const timer = setTimeout(later, Number.parseInt(request.query.get("wait") ?? "300000", 10));
    waiting.add(later);
    response.on("close", () => {
      clearTimeout(timer);
      waiting.delete(later);
    });
  }

  function answer(request: ScriptedRequest, response: ServerResponse): void {
    const body = bodyOf(request.path);
    response.setHeader("content-type", "application/json");
    response.setHeader("x-consul-index", String(index));
    response.setHeader("x-consul-knownleader", String(leader !== ""));
    response.end(JSON.stringify(body));
  }

  function bodyOf(path: string): unknown {
    if (path === "/v1/status/leader") return leader;
    if (path === "/v1/catalog/services") {
      return Object.fromEntries([["consul", []], ...[...services.keys()].map((name) => [name, []])]);
    }
    if (path === "/v1/health/state/any") {
      return [...services].flatMap(([service, instances]) =>
        instances.map(({ id, status = "passing" }) => ({
          Node: "n",
          CheckID: `service:${id}`,
          ServiceName: service,
          Status: status,
        })),
      );
    }
    const service = decodeURIComponent(path.slice("/v1/health/service/".length));
    return (services.get(service) ?? []).map((instance) => healthEntry(service, instance));
  }

  function disconnect(): void {
    for (const socket of sockets) socket.destroy();
  }

  const server = createServer(handle);
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  server.listen(wanted, address);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;

  return {
    address,
    port,
    requests,
    get connections() {
      return sockets.size;
    },
    set(service, instances) {
      if (instances === undefined) services.delete(service);
      else services.set(service, instances);
      index++;
      wake();
    },
    churn() {
      index++;
      wake();
    },
    setIndex(to) {
      index = to;
      wake();
    },
    setLeader(to) {
      leader = to;
    },
    misbehave(how) {
      misbehaviour = how;
    },
    disconnect,
    async stop() {
      const closed = once(server, "close");
      server.close();
      disconnect();
      await closed;
    },
  };
}

/** An element of the answer of `/v1/health/service/…`. */
export function healthEntry(service: string, instance: ScriptedInstance): object {
  const { id, port, address = "", weight = 1, status = "passing" } = instance;
  return {
    Node: { Node: "n", Address: "10.0.0.9" },
    Service: {
      ID: id,
      Service: service,
      Address: address,
      Port: port,
      Weights: { Passing: weight, Warning: 1 },
    },
    Checks: [
      { CheckID: "serfHealth", Status: "passing" },
      { CheckID: `service:${id}`, Status: status },
    ],
  };
}
