import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import type { DescMethod, JsonObject } from "@bufbuild/protobuf";
import { Events } from "../../gen/haplane/v1/events_pb.js";
import { Runtime } from "../../gen/haplane/v1/runtime_pb.js";
import { ServiceDiscovery } from "../../gen/haplane/v1/service_discovery_pb.js";
import {
  buf,
  type Client,
  curl,
  describeClients,
  generatePythonModules,
  grpcurl,
  python,
} from "../support/clients.ts";
import { runInShell } from "../support/commands.ts";
import { endEverything, type StartedHaplane, startCommand, startPorts } from "../support/start.ts";
import { type ConnectProtocol, connectTransport, type HttpVersion } from "../support/transports.ts";
import { waitFor } from "../support/wait.ts";
import { asObject, type Driver, type Failure, type Streaming } from "./clients/driver.ts";
import { connectDriver, grpcJsDriver } from "./clients/libraries.ts";
import { bufDriver, curlDriver, grpcurlDriver } from "./clients/programs.ts";
import { pythonDriver } from "./clients/python.ts";

const clients = { grpcurl: grpcurl(), buf: buf(), curl: curl(), python: python() };
const BACKEND = "backends/shop";

const dir = mkdtempSync(join(tmpdir(), "haplane-clients-"));
const stateDir = join(dir, "state");
const config = join(dir, "haproxy.cfg");
const modules = join(dir, "python");
const ports = await startPorts();
const grpcAddress = `127.0.0.1:${ports.grpc}`;
const connectAddress = `127.0.0.1:${ports.connect}`;
const connectUrl = `http://${connectAddress}`;
const grpcSocket = join(stateDir, "grpc.sock");
const connectSocket = join(stateDir, "connect.sock");

/** A driver to be made when haplane runs, and the client that it needs. */
interface Entry {
  readonly name: string;
  readonly client?: Client;
  readonly open: (admin: string) => Driver;
}

const tcp = (port: number) => ({ kind: "tcp", host: "127.0.0.1", port }) as const;
const program = (client: Client) => client.path ?? "";

const byBuf = (name: string, url: string, ...options: string[]): Entry => ({
  name: `buf curl, ${name}`,
  client: clients.buf,
  open: (admin) => bufDriver(program(clients.buf), url, options, admin),
});

const byCurl = (name: string, url: string, ...connection: string[]): Entry => ({
  name: `curl, JSON over ${name}`,
  client: clients.curl,
  open: (admin) => curlDriver(program(clients.curl), url, connection, admin),
});

const byConnect = (protocol: ConnectProtocol, version: HttpVersion): Entry => ({
  name: `connect-node, ${protocol}, HTTP/${version}`,
  open: (admin) => connectDriver(connectTransport(tcp(ports.connect), protocol, version), admin),
});

/** Every way to call haplane that the whole scenario is tried with. */
const entries: readonly Entry[] = [
  {
    name: "grpcurl",
    client: clients.grpcurl,
    open: (admin) => grpcurlDriver(program(clients.grpcurl), [grpcAddress], admin),
  },
  byBuf("gRPC", `http://${grpcAddress}`, "--protocol", "grpc", "--http2-prior-knowledge"),
  byBuf("gRPC-Web", connectUrl, "--protocol", "grpcweb"),
  byBuf("Connect", connectUrl, "--protocol", "connect"),
  byCurl("HTTP/1.1", connectUrl, "--http1.1"),
  byCurl("connect.sock", "http://haplane", "--http1.1", "--unix-socket", connectSocket),
  {
    name: "Python grpcio",
    client: clients.python,
    open: (admin) => pythonDriver(program(clients.python), modules, grpcAddress, admin),
  },
  { name: "grpc-js", open: (admin) => grpcJsDriver(grpcAddress, admin) },
  { name: "grpc-js, grpc.sock", open: (admin) => grpcJsDriver(`unix:${grpcSocket}`, admin) },
  byConnect("connect", "1.1"),
  byConnect("connect", "2"),
  byConnect("connect-json", "1.1"),
  byConnect("grpc-web", "1.1"),
  byConnect("grpc-web", "2"),
];

const configuration = `global
    stats socket ${join(dir, "stats.sock")} mode 600 level admin expose-fd listeners
defaults
    mode http
    timeout connect 1s
    timeout client 30s
    timeout server 30s
frontend main
    bind 127.0.0.1:${ports.http}
    default_backend shop
backend shop
    balance roundrobin
    server first 127.0.0.1:9
`;

/** Every client sends the same wrong token, and all of them from one address. */
const PATIENT = "--max-failed-logins=1000";

let haplane: StartedHaplane;

before(async () => {
  writeFileSync(config, configuration);
  if (clients.python.path !== undefined) {
    mkdirSync(modules);
    generatePythonModules(clients.python.path, modules);
  }
  haplane = await startCommand({ stateDir, ports, args: ["--no-consul", `--config=${config}`, PATIENT] });
});

after(async () => {
  await endEverything(stateDir);
  rmSync(dir, { recursive: true, force: true });
});

test("the run says which clients it uses", (t) => {
  t.diagnostic(describeClients(Object.values(clients)));
});

for (const [number, { name: client, client: needed, open }] of entries.entries()) {
  if (needed !== undefined && needed.path === undefined) continue;
  describe(client, () => {
    let driver: Driver;
    const streams: Streaming[] = [];
    /** Where the sources of this driver watch: two sources cannot watch the same place. */
    const port = 20_000 + number;
    const id = `by-${number}`;
    const name = `sources/${id}`;
    const server = `${BACKEND}/servers/by-${number}`;
    const { createSource, getSource, listSources, updateSource, deleteSource } = ServiceDiscovery.method;

    before(() => {
      driver = open(haplane.adminToken());
    });
    // A test that fails leaves nothing to the next.
    afterEach(async () => {
      for (const stream of streams.splice(0)) await stream.cancel();
      await driver.call(deleteSource, { name, allowMissing: true });
    });
    after(() => driver.close());

    function watch(request: JsonObject): Streaming {
      const stream = driver.stream(Events.method.watch, request);
      streams.push(stream);
      return stream;
    }

    /** Calls what has to succeed. */
    async function call(method: DescMethod, request: JsonObject): Promise<JsonObject> {
      const outcome = await driver.call(method, request);
      if ("message" in outcome) return outcome.message;
      throw assert.fail(`${method.name}: ${outcome.code}: ${JSON.stringify(outcome)}`);
    }

    /** Calls what has to fail, with typed details; returns the values of those by their type. */
    async function failure(
      code: string,
      reason: string,
      method: DescMethod,
      request: JsonObject,
      token?: string,
    ): Promise<Readonly<Record<string, JsonObject>>> {
      const outcome = await driver.call(method, request, token);
      return checkFailure(outcome as Failure, code, reason);
    }

    const newSource = (more: JsonObject = {}): JsonObject => ({
      sourceId: id,
      source: { enabled: false, consul: { address: "127.0.0.1", port, token: "hunter2" }, ...more },
    });

    test("a source is created, read, listed, updated and deleted", async () => {
      const { source: created } = (await call(createSource, newSource())) as { source: JsonObject };
      const { etag, ...rest } = created;
      assert.match(String(etag), /^.{8,}$/);
      assert.deepEqual(rest, {
        name,
        enabled: false,
        consul: { address: "127.0.0.1", port, tokenSet: true },
        // What was left out comes back as it holds.
        ...{ retryTimeout: "1s", acceptLossAfter: "30s", lossPercent: 50, drainTime: "600s" },
        backendName: "consul-backend-{address}-{port}-{service}",
        status: { state: "SOURCE_STATE_DISABLED" },
      });
      assert.deepEqual(await call(getSource, { name }), { source: created });
      assert.deepEqual(await call(listSources, {}), { sources: [created] });

      const { source: updated } = (await call(updateSource, {
        source: { name, etag: etag as string, description: "für Äpfel" },
        updateMask: "description",
      })) as { source: JsonObject };
      assert.notEqual(updated.etag, etag);
      assert.deepEqual(updated, { ...created, etag: updated.etag as string, description: "für Äpfel" });

      assert.deepEqual(await call(deleteSource, { name, etag: updated.etag as string }), {});
      assert.deepEqual(await call(listSources, {}), {});
    });

    test("a list comes in pages", async () => {
      const ids = ["a", "b", "c"].map((letter) => `${id}-${letter}`);
      for (const [index, sourceId] of ids.entries()) {
        const consul = { address: "127.0.0.1", port: port + 1_000 * (index + 1) };
        await call(createSource, { sourceId, source: { enabled: false, consul } });
      }
      const first = await call(listSources, { pageSize: 2 });
      const second = await call(listSources, { pageSize: 2, pageToken: first.nextPageToken as string });
      const names = [first, second].map(({ sources }) =>
        (sources as { name: string }[]).map((one) => one.name),
      );
      assert.deepEqual(names, [ids.slice(0, 2).map((one) => `sources/${one}`), [`sources/${ids[2]}`]]);
      assert.equal(second.nextPageToken, undefined);
      for (const one of ids) await call(deleteSource, { name: `sources/${one}` });
    });

    test("errors are typed, with the facts in their details", async () => {
      const { source } = (await call(createSource, newSource())) as { source: { etag: string } };
      const resource = { ResourceInfo: { resourceType: "source", resourceName: name } };

      const exists = await failure("ALREADY_EXISTS", "RESOURCE_EXISTS", createSource, newSource());
      assert.deepEqual(exists.ResourceInfo, resource.ResourceInfo);

      const stale = { source: { name, etag: "stale", description: "x" }, updateMask: "description" };
      const aborted = await failure("ABORTED", "ETAG_MISMATCH", updateSource, stale);
      assert.deepEqual(aborted.ErrorInfo?.metadata, { sent: "stale", current: source.etag });
      assert.deepEqual(aborted.ResourceInfo, resource.ResourceInfo);

      const invalid = await failure(
        "INVALID_ARGUMENT",
        "FIELD_INVALID",
        createSource,
        newSource({ consul: { address: "", port: 70_000 }, retryTimeout: "0.001s" }),
      );
      assert.deepEqual(fieldsOf(invalid), [
        "source.consul.address",
        "source.consul.port",
        "source.retry_timeout",
      ]);

      await call(deleteSource, { name });
      const missing = await failure("NOT_FOUND", "RESOURCE_NOT_FOUND", getSource, { name });
      assert.deepEqual(missing.ResourceInfo, resource.ResourceInfo);

      for (const token of ["", "wrong"]) {
        await failure("UNAUTHENTICATED", "UNAUTHENTICATED", listSources, {}, token);
        const { ended } = driver.stream(Events.method.watch, {}, token);
        checkFailure((await ended) as Failure, "UNAUTHENTICATED", "UNAUTHENTICATED");
      }
    });

    test("the running HAProxy is read and changed", async () => {
      const { getInfo, listStats, addServer, getServer, listServers, setServer, deleteServer } =
        Runtime.method;
      const info = await call(getInfo, {});
      assert.match(String(info.version), /^\d+\.\d+/);
      assert.equal(info.masterPid, haplane.pids().haproxy);
      assert.equal(info.state, "PROCESS_STATE_RUNNING");
      assert.equal(asObject(info.info).pid, info.workerPid);

      const filter = { proxies: ["shop"], types: ["STATS_TYPE_BACKEND"] };
      const { stats } = (await call(listStats, filter)) as { stats: JsonObject[] };
      assert.equal(stats.length, 1);
      assert.equal(stats[0]?.svname, "BACKEND");

      const added = await call(addServer, { name: server, address: "127.0.0.1", port, weight: 7 });
      const {
        id: serverId,
        name: addedName,
        address,
        port: addedPort,
        weight,
        adminState,
        operationalState,
      } = added.server as JsonObject;
      assert.ok(Number(serverId) > 0);
      const rest = { name: addedName, address, port: addedPort, weight, adminState, operationalState };
      const expected = {
        name: server,
        address: "127.0.0.1",
        port,
        weight: 7,
        adminState: "ADMIN_STATE_READY",
        operationalState: "OPERATIONAL_STATE_RUNNING",
      };
      assert.deepEqual(rest, expected);
      const exists = await failure("ALREADY_EXISTS", "RESOURCE_EXISTS", addServer, {
        name: server,
        address: "127.0.0.1",
        port,
      });
      assert.equal(exists.ResourceInfo?.resourceName, server);

      await call(setServer, { name: server, weight: 0, adminState: "ADMIN_STATE_DRAIN" });
      const drained = asObject((await call(getServer, { name: server })).server);
      assert.deepEqual([drained.weight ?? 0, drained.adminState], [0, "ADMIN_STATE_DRAIN"]);
      const wrong = await failure("INVALID_ARGUMENT", "FIELD_INVALID", setServer, {
        name: server,
        weight: 257,
      });
      assert.equal(fieldsOf(wrong).join(), "weight");

      const { servers } = (await call(listServers, { parent: BACKEND })) as { servers: { name: string }[] };
      assert.deepEqual(
        servers.map((one) => one.name),
        [`${BACKEND}/servers/first`, server],
      );
      assert.deepEqual(await call(deleteServer, { name: server }), {});
      await failure("NOT_FOUND", "RESOURCE_NOT_FOUND", getServer, { name: server });
    });

    test("events are watched from the present state on, given up, and resumed where they ended", async () => {
      const filter = { kinds: ["EVENT_KIND_SOURCE"], resourcePrefixes: [name] };
      await call(createSource, newSource());

      const first = watch({ ...filter, includeCurrent: true });
      // What was created a moment ago is told once: as part of the state, or by its event when that has not been in the log yet.
      const told = () => first.messages.flatMap(typesOf);
      await waitFor("the present state", () => first.messages.some(({ bookmark }) => bookmark === true));
      await waitFor("the source", () => told().length > 0);
      assert.match(told().join(), /^EVENT_TYPE_(CURRENT|ADDED)$/);
      await call(updateSource, { source: { name, description: "one" }, updateMask: "description" });
      await waitFor("the update", () =>
        first.messages.some((one) => typesOf(one).includes("EVENT_TYPE_UPDATED")),
      );
      const [event] = first.messages.flatMap(eventsOf).slice(-1);
      assert.equal(event?.resource, name);
      assert.equal(asObject(asObject(event?.source).source).description, "one");
      await first.cancel();
      assert.equal((await first.ended).code, "CANCELLED");

      await call(updateSource, { source: { name, description: "two" }, updateMask: "description" });
      await call(deleteSource, { name });
      const cursor = first.messages.findLast((one) => one.cursor !== undefined)?.cursor as string;
      const second = watch({ ...filter, cursor });
      await waitFor("what happened meanwhile", () =>
        second.messages.flatMap(typesOf).includes("EVENT_TYPE_REMOVED"),
      );
      const events = second.messages.flatMap(eventsOf);
      assert.deepEqual(
        events.map(({ type, source }) => [type, asObject(asObject(source).source).description]),
        [
          ["EVENT_TYPE_UPDATED", "two"],
          ["EVENT_TYPE_REMOVED", "two"],
        ],
      );
      await second.cancel();

      const foreign = watch({ cursor: "of somebody else" });
      checkFailure((await foreign.ended) as Failure, "INVALID_ARGUMENT", "CURSOR_FOREIGN");
    });
  });
}

describe("reflection", () => {
  const services = ["Configuration", "Events", "Runtime", "ServiceDiscovery", "Spoe", "Storage"].map(
    (name) => `haplane.v1.${name}`,
  );
  const others = ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"];
  const listed = [...others, "grpc.reflection.v1alpha.ServerReflection", ...services];

  async function run(command: string): Promise<string> {
    const { code, stdout, stderr } = await runInShell(command);
    assert.equal(code, 0, `${command}: ${stderr}`);
    return stdout;
  }

  for (const target of clients.grpcurl.path === undefined
    ? []
    : [grpcAddress, connectAddress, `unix://${grpcSocket}`, `unix://${connectSocket}`]) {
    test(`grpcurl lists and describes everything without proto files: ${target.replace(dir, "…")}`, async () => {
      const all = (await run(`grpcurl -plaintext ${target} list`)).trim().split("\n");
      assert.deepEqual(all, listed);
      for (const service of all) {
        const methods = (await run(`grpcurl -plaintext ${target} list ${service}`)).trim().split("\n");
        assert.ok(
          methods.every((method) => method.startsWith(`${service}.`)),
          methods.join(),
        );
      }
      const watch = await run(`grpcurl -plaintext ${target} describe haplane.v1.Events.Watch`);
      assert.match(
        watch,
        /rpc Watch \( \.haplane\.v1\.WatchRequest \) returns \( stream \.haplane\.v1\.WatchResponse \)/,
      );
      assert.match(watch, /option \(\.?haplane\.v1\.role\) = ROLE_VIEWER/);
      const source = await run(`grpcurl -plaintext ${target} describe .haplane.v1.ConsulRegistry`);
      assert.match(source, /string token = 3 \[debug_redact = true\]/);
    });
  }

  for (const version of ["grpc-v1", "grpc-v1alpha"]) {
    for (const [protocol, address] of [
      ["grpc", grpcAddress],
      ["grpc", connectAddress],
      ["grpcweb", connectAddress],
      ["connect", connectAddress],
    ] as const) {
      test(`buf curl lists everything by ${version} over ${protocol}: ${address}`, async () => {
        const options = `--protocol ${protocol} --http2-prior-knowledge --reflect-protocol ${version}`;
        const all = await run(`buf curl ${options} --list-services http://${address}`);
        assert.deepEqual(all.trim().split("\n"), listed);
        const methods = await run(`buf curl ${options} --list-methods http://${address}`);
        assert.match(methods, /^haplane\.v1\.Events\/Watch$/m);
      });
    }
  }
});

test("no stream that a client gave up is still open", async () => {
  await waitFor("all watchers to be gone", async () => {
    const answer = await fetch(`${connectUrl}/metrics`, {
      headers: { authorization: `Bearer ${haplane.adminToken()}` },
    });
    return /^haplane_watchers 0$/m.test(await answer.text());
  });
});

const eventsOf = ({ events }: JsonObject) => (events ?? []) as readonly JsonObject[];
const typesOf = (message: JsonObject) => eventsOf(message).map(({ type }) => type);

/** The paths of the fields that an error complains of. */
function fieldsOf(details: Readonly<Record<string, JsonObject>>): string[] {
  const violations = (details.BadRequest?.fieldViolations ?? []) as { field: string }[];
  return violations.map(({ field }) => field);
}

/** Checks an error as a program would: code and reason, and the details that every error of haplane has. Returns the details by the names of their types. */
function checkFailure(outcome: Failure, code: string, reason: string): Readonly<Record<string, JsonObject>> {
  assert.equal(outcome.code, code, JSON.stringify(outcome));
  assert.notEqual(outcome.reason, "");
  const details = Object.fromEntries(
    outcome.details.map(({ type, value }) => {
      assert.match(type, /^google\.rpc\./);
      return [type.slice("google.rpc.".length), value];
    }),
  );
  assert.equal(details.ErrorInfo?.reason, reason);
  assert.equal(details.ErrorInfo?.domain, "haplane");
  assert.match(String(details.RequestInfo?.requestId), /./);
  return details;
}
