import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { Agent, createServer, get } from "node:http";
import { type AddressInfo, connect as connectSocket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, type TestContext, test } from "node:test";
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { Events } from "../../gen/haplane/v1/events_pb.js";
import { Runtime } from "../../gen/haplane/v1/runtime_pb.js";
import { ServiceDiscovery, SourceState } from "../../gen/haplane/v1/service_discovery_pb.js";
import { Health, HealthCheckResponse_ServingStatus } from "../../gen/health/v1/health_pb.js";
import type { ListenAddress } from "../../src/rpc/listener.ts";
import { describeClients, grpcurl } from "../support/clients.ts";
import { runInShell, startInShell } from "../support/commands.ts";
import { consulAgent } from "../support/consul.ts";
import { askOnce } from "../support/haproxy.ts";
import { freePort } from "../support/ports.ts";
import { codeOf, reflectServices } from "../support/reflected.ts";
import {
  endEverything,
  isRunning,
  type StartedHaplane,
  startCommand,
  startInVain,
  startPorts,
} from "../support/start.ts";
import { type App, startApp, startTraffic, type Traffic } from "../support/traffic.ts";
import { connectTransport } from "../support/transports.ts";
import { waitFor } from "../support/wait.ts";

/** As a new user runs it. */
const NPM_START = ["npm", "start", "--"] as const;

/** A state directory in a place as people have them: with a space in its path. */
function temporaryStateDir() {
  const dir = mkdtempSync(join(tmpdir(), "haplane start-"));
  const stateDir = join(dir, "state");
  return {
    stateDir,
    async remove() {
      await endEverything(stateDir);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Every listener, by each protocol that it speaks. Only HTTP/2 has streams in both directions, which reflection needs. */
function listenersOf({ ports, stateDir }: StartedHaplane): ReadonlyMap<string, Transport> {
  const tcp = (port: number): ListenAddress => ({ kind: "tcp", host: "127.0.0.1", port });
  const unix = (name: string): ListenAddress => ({ kind: "unix", path: join(stateDir, name) });
  return new Map([
    ["gRPC", connectTransport(tcp(ports.grpc), "grpc", "2")],
    ["gRPC, grpc.sock", connectTransport(unix("grpc.sock"), "grpc", "2")],
    ["Connect's port by gRPC", connectTransport(tcp(ports.connect), "grpc", "2")],
    ["Connect, HTTP/1.1", connectTransport(tcp(ports.connect), "connect", "1.1")],
    ["Connect, HTTP/2", connectTransport(tcp(ports.connect), "connect", "2")],
    ["Connect, JSON, HTTP/1.1", connectTransport(tcp(ports.connect), "connect-json", "1.1")],
    ["gRPC-Web, HTTP/1.1", connectTransport(tcp(ports.connect), "grpc-web", "1.1")],
    ["Connect, connect.sock", connectTransport(unix("connect.sock"), "connect", "2")],
    ["gRPC-Web, connect.sock, HTTP/1.1", connectTransport(unix("connect.sock"), "grpc-web", "1.1")],
    ["Connect's socket by gRPC", connectTransport(unix("connect.sock"), "grpc", "2")],
  ]);
}

/** The commands that the terminal shows to try. */
function commandsToTry({ output }: StartedHaplane): string[] {
  const shown = output.split("\nTry:\n")[1]?.split("\nCtrl-C")[0] ?? "";
  return shown
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
}

const withToken = (haplane: StartedHaplane) => ({ authorization: `Bearer ${haplane.adminToken()}` });

/** A client of ServiceDiscovery or another service, as admin, over gRPC. */
function clientOf<T extends DescService>(haplane: StartedHaplane, service: T) {
  const transport = listenersOf(haplane).get("gRPC") as Transport;
  const client = createClient(service, transport);
  return { client, options: { headers: withToken(haplane) } };
}

const isOurs = ({ typeName }: DescService) => typeName.startsWith("haplane.");

/** Registers an instance with the Consul that runs. */
const register = ({ ports }: StartedHaplane, service: string, { name, port }: App) =>
  consulAgent(ports.consul).register({ id: name, service, port });

const untilServed = (url: string) =>
  waitFor(`an answer of ${url}`, async () => {
    const answer = await fetch(url);
    return answer.status === 200 && answer.text();
  });

/** The master and its workers, as it names them. While it reloads it does not answer. */
const showProc = (haplane: StartedHaplane) =>
  waitFor("the master", () => askOnce(join(haplane.stateDir, "haproxy-master.sock"), "show proc"));

const workerPid = async (haplane: StartedHaplane) =>
  Number(/# workers\n(\d+)/.exec(await showProc(haplane))?.[1]);

describe("npm start, as a new user meets it", () => {
  const { stateDir, remove } = temporaryStateDir();
  let haplane: StartedHaplane;
  let commands: readonly string[];

  before(async () => {
    haplane = await startCommand({ stateDir, ports: await startPorts(), command: NPM_START });
    commands = commandsToTry(haplane);
  });
  after(remove);

  test("it says where everything is", () => {
    for (const port of Object.values(haplane.ports)) assert.match(haplane.output, new RegExp(`:${port}\\b`));
    for (const file of ["haproxy.cfg", "grpc.sock", "connect.sock", "admin.token", "haplane.log"]) {
      assert.match(haplane.output, new RegExp(`/${file}\\b`));
      assert.ok(existsSync(join(stateDir, file)), file);
    }
    const programs = commands.map((command) => command.split(" ")[0]);
    assert.deepEqual(programs, ["npx", "grpcurl", "curl", "npx", "node", "curl", "curl"]);
  });

  test("the commands that it shows work as printed", async (t) => {
    t.diagnostic(describeClients([grpcurl()]));
    // Where the service of the example listens is the only thing that is the same in every start.
    const port = String(await freePort());
    const [bufList, list, sources, watch, instance, registration, request] = commands.map((command) =>
      command.replaceAll("9001", port),
    ) as [string, string, string, string, string, string, string];
    const isListed = /^haplane\.v1\.ServiceDiscovery$/m;

    if (grpcurl().path !== undefined) {
      const { code, stdout, stderr } = await runInShell(list);
      assert.equal(code, 0, stderr);
      assert.match(stdout, isListed);
      assert.match(stdout, /^grpc\.health\.v1\.Health$/m);
    }

    const methods = await runInShell(bufList);
    assert.equal(methods.code, 0, methods.stderr);
    assert.match(methods.stdout, /^haplane\.v1\.Events\/Watch$/m);

    const listed = await runInShell(sources);
    assert.equal(listed.code, 0, listed.stderr);
    assert.equal(JSON.parse(listed.stdout).sources[0].name, "sources/local");

    const watching = startInShell(watch);
    await watching.until(/"bookmark": ?true/);

    const { code, stderr, leftOvers } = await runInShell([instance, registration, request].join("\n"));
    leftOvers();
    assert.equal(code, 0, stderr);
    await watching.until(/consul-backend-127\.0\.0\.1-\d+-hello/);
    await watching.interrupt();
  });

  test("the example, pasted as a whole, ends with the answer of the service", async () => {
    const port = String(await freePort());
    const pasted = commands.slice(4).join("\n").replaceAll("9001", port).replaceAll("hello", "pasted");
    const { stdout, leftOvers } = await runInShell(pasted);
    leftOvers();
    assert.match(stdout, /^pasted$/m);
  });

  test("the admin token is its owner's alone", () => {
    assert.equal(statSync(join(stateDir, "admin.token")).mode & 0o777, 0o600);
    assert.equal(statSync(stateDir).mode & 0o777, 0o700);
    assert.match(haplane.adminToken(), /^[\w-]{43}$/);
    const log = readFileSync(join(stateDir, "haplane.log"), "utf8");
    assert.ok(!log.includes(haplane.adminToken()) && !haplane.output.includes(haplane.adminToken()));
  });

  test("closed: no listener answers an RPC without the token, and each does with it", async (t) => {
    const listeners = listenersOf(haplane);
    const methods: DescMethod[] = [];
    for (const [name, transport] of listeners) {
      if (name.endsWith("HTTP/1.1")) continue;
      const services = (await reflectServices(transport)).filter(isOurs);
      for (const { typeName } of [ServiceDiscovery, Runtime, Events]) {
        assert.ok(
          services.some((service) => service.typeName === typeName),
          `${typeName} at ${name}`,
        );
      }
      if (methods.length === 0) methods.push(...services.flatMap((service) => service.methods));
    }
    for (const [name, transport] of listeners) {
      for (const method of methods) {
        const where = `${method.parent.typeName}/${method.name} at ${name}`;
        assert.equal(await codeOf(transport, method), Code.Unauthenticated, where);
        const wrong = await codeOf(transport, method, { authorization: "Bearer wrong" });
        // Whoever keeps sending a wrong token is made to wait, and nobody else.
        assert.ok(wrong === Code.Unauthenticated || wrong === Code.ResourceExhausted, where);
        const answer = await codeOf(transport, method, withToken(haplane));
        assert.notEqual(answer, Code.Unauthenticated, where);
        assert.notEqual(answer, Code.ResourceExhausted, where);
        assert.notEqual(answer, Code.Unimplemented, where);
      }
    }
    t.diagnostic(`${methods.length} methods on ${listeners.size} ways`);
  });

  test("closed: /metrics needs the token too, /healthz does not", async () => {
    const { ports } = haplane;
    for (const where of [{ port: ports.connect }, { socketPath: join(stateDir, "connect.sock") }]) {
      const metrics = (headers = {}) => plainGet({ ...where, path: "/metrics", headers });
      const refused = await metrics();
      assert.equal(refused.status, 401);
      assert.doesNotMatch(refused.body, /haplane_/);
      const { status = 0 } = await metrics({ authorization: "Bearer wrong" });
      assert.ok([401, 429].includes(status));
      const answer = await metrics(withToken(haplane));
      assert.equal(answer.status, 200);
      assert.match(answer.body, /^haplane_haproxy_up 1$/m);
      assert.deepEqual(await plainGet({ ...where, path: "/healthz" }), { status: 200, body: "SERVING\n" });
    }
  });

  test("health answers on every listener without the token", async () => {
    for (const [name, transport] of listenersOf(haplane)) {
      const health = createClient(Health, transport);
      assert.deepEqual((await health.check({})).status, HealthCheckResponse_ServingStatus.SERVING, name);
    }
  });

  test("Ctrl-C stops everything, and the second start is ready in seconds", async (t) => {
    const pids = Object.values(haplane.pids());
    const ended = await haplane.interrupt();
    assert.equal(pids.length, 3);
    for (const pid of pids) assert.ok(!isRunning(pid as number));

    haplane = await startCommand({ stateDir, ports: haplane.ports, command: NPM_START });
    t.diagnostic(`ready after ${Math.round(haplane.readyMs)} ms, stopped in ${Math.round(ended.tookMs)} ms`);
    assert.ok(haplane.readyMs < 15_000);
    const { client, options } = clientOf(haplane, ServiceDiscovery);
    assert.equal((await client.listSources({}, options)).sources[0]?.name, "sources/local");
    // What had no check is still in Consul's own data, as it was.
    assert.match(readFileSync(join(stateDir, "haproxy.cfg"), "utf8"), /^backend consul-backend-\S+-hello$/m);
  });
});

describe("haplane start, when not all goes well", () => {
  const { stateDir, remove } = temporaryStateDir();
  const apps: App[] = [];
  let haplane: StartedHaplane;
  let url: string;

  async function newApp(name: string): Promise<App> {
    const app = await startApp(name);
    apps.push(app);
    return app;
  }

  function trafficUntilEnd(t: TestContext): Traffic {
    const traffic = startTraffic({
      url,
      keeping: 2,
      opening: 1,
      pauseMs: 2,
      isExpected: (name) => ["a", "b", "c"].includes(name),
    });
    t.after(() => traffic.stop());
    return traffic;
  }

  before(async () => {
    haplane = await startCommand({ stateDir, ports: await startPorts() });
    url = `http://127.0.0.1:${haplane.ports.http}/web/`;
    await register(haplane, "web", await newApp("a"));
    await untilServed(url);
    // HAProxy serves a moment before haplane has noted so; killed in between, the next one would reload once more to be sure.
    const { client, options } = clientOf(haplane, ServiceDiscovery);
    await waitFor("the source to be settled", async () => {
      const { source } = await client.getSource({ name: "sources/local" }, options);
      return source?.status?.state === SourceState.SYNCED && source.status.servers === 1;
    });
  });
  after(async () => {
    await remove();
    for (const app of apps) await app.stop();
  });

  test("kill -9 leaves HAProxy serving, and the next start adopts it: the same master and worker, no request fails", async (t) => {
    const traffic = trafficUntilEnd(t);
    const pids = haplane.pids();
    const procs = await showProc(haplane);
    const worker = await workerPid(haplane);

    await haplane.kill();
    assert.ok(isRunning(pids.haproxy as number));
    const servedAlone = traffic.total + 100;
    await waitFor("requests that HAProxy serves alone", () => traffic.total > servedAlone);
    // Consul lives on as well; who comes meanwhile is found by the next haplane.
    await register(haplane, "web", await newApp("b"));

    haplane = await startCommand({ stateDir, ports: haplane.ports });
    await waitFor("what came meanwhile to be served", () => (traffic.served.get("b") ?? 0) > 0);
    await register(haplane, "web", await newApp("c"));
    await waitFor("what came afterwards to be served", () => (traffic.served.get("c") ?? 0) > 0);
    await traffic.stop();

    assert.deepEqual(traffic.failures, []);
    assert.equal(haplane.pids().haproxy, pids.haproxy);
    assert.equal(haplane.pids().consul, pids.consul);
    assert.equal(await workerPid(haplane), worker);
    const reloads = /^\d+\s+master\s+(\d+)/m;
    assert.equal(reloads.exec(await showProc(haplane))?.[1], reloads.exec(procs)?.[1], "no reload");
    t.diagnostic(`${traffic.total} requests, none failed; adopted after ${Math.round(haplane.readyMs)} ms`);
  });

  for (const [name, ports] of [
    ["on the same ports", async () => haplane.ports],
    ["on ports of its own", startPorts],
  ] as const) {
    test(`a second haplane on the state directory, ${name}, says so, ends, and disturbs nothing`, async (t) => {
      const pids = haplane.pids();
      const worker = await workerPid(haplane);
      const traffic = trafficUntilEnd(t);
      const { client, options } = clientOf(haplane, Runtime);
      const second = await startInVain({ stateDir, ports: await ports() });
      assert.notEqual(second.code, 0);
      assert.match(second.output, /Another haplane \(process \d+\) is using the state directory/);
      assert.ok(second.output.includes(`process ${pids.haplane}`));
      assert.doesNotMatch(second.output, /\n\s+at /, "a sentence, not a stack");

      const info = await client.getInfo({}, options);
      assert.equal(info.workerPid, worker);
      assert.deepEqual(haplane.pids(), pids);
      await traffic.stop();
      assert.deepEqual(traffic.failures, []);
      for (const socket of ["grpc.sock", "connect.sock", "stats.sock"]) {
        const connection = connectSocket(join(stateDir, socket));
        await once(connection, "connect");
        connection.destroy();
      }
    });
  }

  test("a port that is taken: it is said, and no HAProxy or Consul is left running", async (t) => {
    const other = temporaryStateDir();
    t.after(() => other.remove());
    const ports = { ...(await startPorts()), connect: haplane.ports.connect };
    const { code, output } = await startInVain({ stateDir: other.stateDir, ports });
    assert.notEqual(code, 0);
    assert.equal(output, `haplane: cannot listen on 127.0.0.1:${ports.connect}: the address is in use\n`);
    const left = ["haproxy.log", "haproxy.pid"].map((name) => existsSync(join(other.stateDir, name)));
    assert.deepEqual(left, [true, false], "HAProxy was started, and ended again");
    for (const port of [ports.http, ports.consul]) {
      const connection = connectSocket(port, "127.0.0.1");
      await assert.rejects(once(connection, "connect"), /ECONNREFUSED/);
    }
  });

  test("Ctrl-C within 10 s: watches end with UNAVAILABLE, HAProxy and Consul are gone, and so are the sockets", async (t) => {
    const pids = haplane.pids();
    const watches = [...listenersOf(haplane)].map(([name, transport]) => ({
      name,
      end: endOfWatch(transport, withToken(haplane)),
    }));
    await Promise.all(watches.map(({ end }) => end.opened));
    // A client that keeps an idle connection, and one whose answer never ends.
    const agent = new Agent({ keepAlive: true });
    await plainGet({ port: haplane.ports.http, path: "/web/", agent });
    const endless = await startEndlessApp();
    apps.push(endless);
    await register(haplane, "endless", endless);
    await waitFor("an answer without an end", () => endless.begin(haplane.ports.http));

    const { code, tookMs, output } = await haplane.interrupt();
    agent.destroy();
    assert.equal(code, 0, output);
    for (const { name, end } of watches) assert.equal(await end.code, Code.Unavailable, name);
    for (const [name, pid] of Object.entries(pids)) assert.ok(!isRunning(pid as number), `${name} is gone`);
    for (const name of [
      "grpc.sock",
      "connect.sock",
      "haproxy-master.sock",
      "stats.sock",
      "haplane.pid",
      "haproxy.pid",
      "consul/consul.pid",
    ]) {
      assert.ok(!existsSync(join(stateDir, name)), name);
    }
    await assert.rejects(fetch(url), "nobody listens at the frontend");
    t.diagnostic(`stopped in ${Math.round(tookMs)} ms`);
    assert.ok(tookMs < 10_000, `it took ${tookMs} ms`);
  });
});

describe("haplane start --no-consul", () => {
  const { stateDir, remove } = temporaryStateDir();
  after(remove);

  test("runs without a Consul and without a source", async () => {
    const haplane = await startCommand({ stateDir, ports: await startPorts(), args: ["--no-consul"] });
    assert.equal(haplane.pids().consul, undefined);
    assert.doesNotMatch(haplane.output, /Consul/);
    assert.ok(!existsSync(join(stateDir, "consul")));
    const { client, options } = clientOf(haplane, ServiceDiscovery);
    assert.deepEqual((await client.listSources({}, options)).sources, []);
    const answer = await fetch(`http://127.0.0.1:${haplane.ports.http}/web/`);
    assert.equal(answer.status, 404);
    assert.equal(await answer.text(), "No service of this name has a backend: web\n");
    for (const command of commandsToTry(haplane).slice(0, 3)) {
      if (command.startsWith("grpcurl") && grpcurl().path === undefined) continue;
      const { code, stderr } = await runInShell(command);
      assert.equal(code, 0, stderr);
    }
    assert.equal((await haplane.interrupt()).code, 0);
  });
});

/** Opens a watch; `opened` resolves with its first message, `code` with how it ends. */
function endOfWatch(transport: Transport, headers: Readonly<Record<string, string>>) {
  const opened = Promise.withResolvers<void>();
  const code = (async () => {
    try {
      for await (const _ of createClient(Events, transport).watch({}, { headers })) opened.resolve();
      return "OK";
    } catch (error) {
      opened.reject(error);
      return ConnectError.from(error).code;
    }
  })();
  return { opened: opened.promise, code };
}

/** One HTTP/1.1 request, to a port of 127.0.0.1 or to a socket. */
function plainGet(options: {
  port?: number;
  socketPath?: string;
  path: string;
  headers?: Readonly<Record<string, string>>;
  agent?: Agent;
}): Promise<{ status: number | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    get({ host: "127.0.0.1", ...options }, async (response) => {
      let body = "";
      for await (const chunk of response.setEncoding("utf8")) body += chunk;
      resolve({ status: response.statusCode, body });
    }).on("error", reject);
  });
}

/** An application whose answers begin and do not end. */
async function startEndlessApp(): Promise<App & { begin(port: number): Promise<boolean> }> {
  const server = createServer((_request, response) => void response.write("and so on"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    name: "endless",
    port: (server.address() as AddressInfo).port,
    begin: (port) =>
      new Promise((resolve, reject) => {
        get({ host: "127.0.0.1", port, path: "/endless/" }, (response) => {
          // HAProxy cuts it in the end.
          response.on("error", () => {}).resume();
          resolve(response.statusCode === 200);
        }).on("error", reject);
      }),
    async stop() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
