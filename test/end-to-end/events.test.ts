import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer, get, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { RequestInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { Configuration, RevisionLane } from "../../gen/haplane/v1/configuration_pb.js";
import {
  type AuditEvent,
  EventKind,
  EventType,
  ReloadState,
  ServerStatus,
  type TransactionEvent,
  TransactionState,
} from "../../gen/haplane/v1/events_pb.js";
import {
  DiscoveredServerState,
  DiscoveredServiceState,
  ServiceDiscovery,
} from "../../gen/haplane/v1/service_discovery_pb.js";
import { FileKind, Storage } from "../../gen/haplane/v1/storage_pb.js";
import { Health, HealthCheckResponse_ServingStatus as Status } from "../../gen/health/v1/health_pb.js";
import { startHaplane, type TestHaplane } from "../support/haplane.ts";
import { freePort } from "../support/ports.ts";
import { startScriptedConsul } from "../support/scripted-consul.ts";
import { waitFor } from "../support/wait.ts";
import { adminHeaders, STACKS, stackTransport, Watching } from "../support/watching.ts";

/*
 * What a watch tells of a haplane that runs with a real HAProxy, over each way in which a stream can come.
 */

const TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

describe("a watch of a running haplane", { concurrency: false }, () => {
  let haplane: TestHaplane;
  let app: Server;
  let port: number;
  const closers: (() => void)[] = [];

  const transportOf = (stack: (typeof STACKS)[number] = "grpc-js") => {
    const { transport, close } = stackTransport(haplane.dir, stack);
    closers.push(close);
    return transport;
  };
  const watch = async (request = {}, stack: (typeof STACKS)[number] = "grpc-js") => {
    const watching = new Watching(transportOf(stack), adminHeaders(haplane.dir), request);
    await watching.begun();
    return watching;
  };
  const headers = () => adminHeaders(haplane.dir);

  before(async () => {
    app = createServer((_, response) => response.end("ok"));
    await new Promise<void>((listening) => app.listen(0, "127.0.0.1", listening));
    ({ port } = app.address() as AddressInfo);
    const www = await freePort();
    haplane = await startHaplane(
      (stats) => `global
    stats socket ${stats} mode 600 level admin expose-fd listeners

defaults
    mode http
    timeout connect 1s
    timeout client 5s
    timeout server 5s

frontend www
    bind 127.0.0.1:${www}
    default_backend web

backend web
    server a 127.0.0.1:${port} check inter 100ms fall 1 rise 1
    server b 127.0.0.1:${port}
`,
    );
  });

  after(async () => {
    for (const close of closers) close();
    app?.closeAllConnections();
    app?.close();
    await haplane?.stop();
  });

  for (const stack of STACKS) {
    test(`tells of a transaction from its beginning to its end, and who did it: ${stack}`, async () => {
      const watching = await watch(
        { kinds: [EventKind.TRANSACTION, EventKind.REVISION, EventKind.AUDIT] },
        stack,
      );
      const client = createClient(Configuration, transportOf());
      const { transaction } = await client.beginTransaction({}, { headers: headers() });
      const { name } = transaction!;
      await client.update(
        {
          resource: {
            name: "backends/web/servers/b",
            kind: { case: "server", value: { weight: 10 + STACKS.indexOf(stack) } },
          },
          updateMask: { paths: ["weight"] },
          options: { transaction: name },
        },
        { headers: { ...headers(), traceparent: TRACE, "x-request-id": `weigh-${STACKS.indexOf(stack)}` } },
      );
      const { revision } = await client.commitTransaction({ name }, { headers: headers() });

      const ended = await watching.seen(
        "the end of the transaction",
        ({ kind, type, resource }) =>
          kind === EventKind.TRANSACTION && type === EventType.REMOVED && resource === name,
      );
      const steps = watching.events
        .filter(({ kind, resource }) => kind === EventKind.TRANSACTION && resource === name)
        .map(({ type, payload }) => {
          assert.equal(payload.case, "transaction");
          const { state, resources } = payload.value as TransactionEvent;
          return [EventType[type], TransactionState[state], resources];
        });
      assert.deepEqual(steps, [
        ["ADDED", "OPEN", []],
        ["UPDATED", "OPEN", ["backends/web/servers/b"]],
        ["REMOVED", "COMMITTED", ["backends/web/servers/b"]],
      ]);
      assert.equal(ended.author, "admin");
      assert.ok(
        watching.events.some((event) => event.kind === EventKind.REVISION && event.revision === revision),
      );

      const update = await watching.seen(
        "the audit of the update",
        ({ payload }) => payload.case === "audit" && payload.value.method.endsWith("/Update"),
      );
      assert.equal(update.author, "admin");
      assert.equal(update.resource, "backends/web/servers/b");
      assert.equal(update.ephemeral, false);
      assert.equal(update.payload.case, "audit");
      const audit = update.payload.value as AuditEvent;
      assert.equal(audit.code, "OK");
      assert.equal(audit.protocol, "grpc");
      assert.match(String(audit.peer), /^unix:.*grpc\.sock$/);
      assert.equal(audit.traceparent, TRACE);
      assert.equal(audit.requestId, `weigh-${STACKS.indexOf(stack)}`);
      assert.match(String(audit.request), /"weight":1\d/);
      const committed = await watching.seen(
        "the audit of the commit",
        ({ payload }) => payload.case === "audit" && payload.value.method.endsWith("/CommitTransaction"),
      );
      assert.equal((committed.payload.value as { revision: bigint }).revision, revision);
      await watching.cancel();
    });
  }

  test("tells within a second how HAProxy's view of a server changes, and keeps it not", async () => {
    const watching = await watch({ kinds: [EventKind.SERVER_STATUS], resourcePrefixes: ["backends/web/"] });
    const until = (server: string, status: ServerStatus, from: number) =>
      watching.seen(
        `${server} to be ${ServerStatus[status]}`,
        ({ payload }) =>
          payload.case === "serverStatus" &&
          payload.value.server === server &&
          payload.value.status === status,
        from,
      );
    // What HAProxy is found in first is no change: go back and forth until it has been looked at.
    const states = ["maint", "ready"];
    for (let n = 0; watching.events.length === 0; n += 1) {
      await haplane.ask(`set server web/b state ${states[n % 2]}`);
      await waitFor("an event", () => watching.events.length > 0, { timeoutMs: 1_000 }).catch(() => {});
    }
    assert.equal(watching.events[0]?.ephemeral, true);

    let from = watching.events.length;
    await new Promise<void>((closed) => {
      app.close(() => closed());
      app.closeAllConnections();
    });
    const down = await until("a", ServerStatus.DOWN, from);
    assert.equal(down.payload.case, "serverStatus");
    from = watching.events.length;
    await new Promise<void>((listening) => app.listen(port, "127.0.0.1", listening));
    await until("a", ServerStatus.UP, from);
    await haplane.ask("set server web/b state ready");
    await watching.cancel();
  });

  test("tells of files and their certificates, of edits by hand and of sources, and keeps their secrets", async () => {
    const watching = await watch();
    const storage = createClient(Storage, transportOf());
    await storage.putFile(
      { kind: FileKind.GENERAL, storageName: "note.txt", data: Buffer.from("hunter2") },
      { headers: headers() },
    );
    const file = await watching.seen("the file", ({ kind }) => kind === EventKind.FILE);
    assert.equal(file.resource, "files/general/note.txt");
    const audit = await watching.seen(
      "its audit",
      ({ payload }) => payload.case === "audit" && payload.value.method.endsWith("/PutFile"),
    );
    assert.doesNotMatch((audit.payload.value as { request: string }).request, /hunter2|aHVudGVyMg/);

    const config = readFileSync(haplane.config, "utf8");
    writeFileSync(haplane.config, config.replace(/(server b .*)\n/, `$1\n    server c 127.0.0.1:${port}\n`));
    const added = await watching.seen(
      "the server that was added by hand",
      ({ kind, type, resource }) =>
        kind === EventKind.SERVER && type === EventType.ADDED && resource === "backends/web/servers/c",
    );
    assert.equal(added.author, "external");
    await watching.seen(
      "the reload for it",
      ({ payload }) => payload.case === "reload" && payload.value.state === ReloadState.SUCCEEDED,
    );

    const discovery = createClient(ServiceDiscovery, transportOf());
    await discovery.createSource(
      {
        source: {
          name: "sources/nobody",
          enabled: false,
          registry: { case: "consul", value: { address: "127.0.0.1", port: 1, token: "hunter2" } },
        },
      },
      { headers: headers() },
    );
    const source = await watching.seen("the source", ({ kind }) => kind === EventKind.SOURCE);
    assert.equal(source.resource, "sources/nobody");
    const created = await watching.seen(
      "the audit of its creation",
      ({ payload }) => payload.case === "audit" && payload.value.method.endsWith("/CreateSource"),
    );
    assert.doesNotMatch((created.payload.value as { request: string }).request, /hunter2/);
    await watching.cancel();
  });

  for (const stack of STACKS) {
    test(`tells of the services of a source, and what is done with them: ${stack}`, async () => {
      const consul = await startScriptedConsul();
      closers.push(() => void consul.stop());
      const name = `sources/seen-${STACKS.indexOf(stack)}`;
      const request = { kinds: [EventKind.SERVICE], resourcePrefixes: [`${name}/services/`] };
      const watching = await watch(request, stack);
      const discovery = createClient(ServiceDiscovery, transportOf());
      consul.set("app", [{ id: "one", port }]);
      consul.set("db", [{ id: "two", port }]);
      await discovery.createSource(
        {
          source: {
            name,
            backendName: `${stack.replaceAll(/\W/g, "")}-{service}`,
            registry: {
              case: "consul",
              value: { address: "127.0.0.1", port: consul.port, filter: { deny: ["db"] } },
            },
          },
        },
        { headers: headers() },
      );
      const told = (service: string, state: DiscoveredServiceState, servers: number, type?: EventType) =>
        watching.seen(
          `${service} to be ${DiscoveredServiceState[state]} with ${servers}`,
          ({ type: actual, payload }) =>
            payload.case === "service" &&
            payload.value.service?.service === service &&
            payload.value.service.state === state &&
            payload.value.service.servers.length === servers &&
            payload.value.service.servers.every(({ state }) => state === DiscoveredServerState.LIVE) &&
            (type === undefined || type === actual),
        );
      const app = await told("app", DiscoveredServiceState.FOLLOWED, 1);
      assert.equal(app.resource, `${name}/services/app`);
      assert.equal(app.author, name);
      const denied = await told("db", DiscoveredServiceState.IGNORED, 0);
      assert.equal(denied.payload.case, "service");
      assert.notEqual(denied.payload.value.service?.reason, "");
      consul.set("app", [
        { id: "one", port },
        { id: "three", port },
      ]);
      await told("app", DiscoveredServiceState.FOLLOWED, 2, EventType.UPDATED);

      const later = await watch({ ...request, includeCurrent: true }, stack);
      assert.deepEqual(
        later.events.map(({ type, resource }) => [EventType[type], resource]).sort(),
        ["app", "consul", "db"].map((service) => ["CURRENT", `${name}/services/${service}`]),
      );
      await later.cancel();

      const configuration = createClient(Configuration, transportOf());
      const byCommands = async (skipDiscovery: boolean) => {
        const { revisions } = await configuration.listRevisions({ skipDiscovery }, { headers: headers() });
        return revisions.filter(({ author, lane }) => author === name && lane === RevisionLane.RUNTIME)
          .length;
      };
      assert.ok((await byCommands(false)) > 0);
      assert.equal(await byCommands(true), 0);

      await discovery.deleteSource({ name, prune: true }, { headers: headers() });
      await watching.seen(
        "the service to be gone",
        ({ type, resource }) => type === EventType.REMOVED && resource === `${name}/services/app`,
      );
      await watching.cancel();
    });
  }

  test("begins with how things are, of each kind that is kept", async () => {
    const watching = await watch({ includeCurrent: true });
    const current = watching.events.filter(({ type }) => type === EventType.CURRENT);
    const kinds = new Set(current.map(({ kind }) => EventKind[kind]));
    for (const kind of ["PROCESS", "REVISION", "SERVER", "SOURCE", "FILE"]) assert.ok(kinds.has(kind), kind);
    await watching.cancel();
  });

  test("an error carries the request id and the traceparent that came with the call, and so do log and audit", async () => {
    const watching = await watch({ kinds: [EventKind.AUDIT] });
    for (const stack of STACKS) {
      const client = createClient(Configuration, transportOf(stack));
      const requestId = `not-there-${STACKS.indexOf(stack)}`;
      const error = await client
        .delete(
          { name: "backends/not-there" },
          { headers: { ...headers(), traceparent: TRACE, "x-request-id": requestId } },
        )
        .then(
          () => assert.fail("it is not there"),
          (thrown: unknown) => ConnectError.from(thrown),
        );
      assert.equal(error.code, Code.NotFound);
      const [info] = error.findDetails(RequestInfoSchema);
      assert.deepEqual([info?.requestId, info?.servingData], [requestId, `traceparent=${TRACE}`]);
      const event = await watching.seen(
        "the audit of the failure",
        ({ payload }) => payload.case === "audit" && payload.value.requestId === requestId,
      );
      assert.equal(event.payload.case, "audit");
      const { code, reason, traceparent } = event.payload.value as AuditEvent;
      assert.deepEqual([code, reason, traceparent], ["NOT_FOUND", "RESOURCE_NOT_FOUND", TRACE]);
      const line = haplane
        .log()
        .split("\n")
        .find((text) => text.includes(`"requestId":"${requestId}"`));
      assert.match(String(line), /4bf92f3577b34da6a3ce929d0e0e4736/);
    }
    await watching.cancel();
  });

  test("health tells process, store, HAProxy and each source apart, and metrics count what was done", async () => {
    const health = createClient(Health, transportOf());
    const status = async (service: string) => Status[(await health.check({ service })).status];
    assert.deepEqual(
      await Promise.all(["", "store", "haproxy", "haplane.v1.Runtime", "sources/nobody"].map(status)),
      ["SERVING", "SERVING", "SERVING", "SERVING", "SERVING"],
    );
    await assert.rejects(status("sources/another"), (error: ConnectError) => error.code === Code.NotFound);
    for (const [service, answer] of [
      ["haproxy", "200 SERVING"],
      ["sources/nobody", "200 SERVING"],
      ["sources/another", "404 SERVICE_UNKNOWN"],
    ] as const)
      assert.equal(await healthz(haplane.dir, service), answer, service);
    const metrics = await haplane.metrics();
    const sample = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, "m").exec(metrics)?.[1]);
    assert.ok(sample('haplane_commits_total\\{lane="runtime",outcome="ok"\\}') >= 1, metrics);
    assert.ok(sample('haplane_reloads_total\\{outcome="succeeded"\\}') >= 1);
    assert.ok(sample('haplane_store_bytes\\{file="database"\\}') > 0);
    assert.ok(sample("haplane_event_log_events") > 0);
  });

  for (const stack of STACKS) {
    test(`goes on from its cursor after haplane was killed, nothing lost and nothing twice: ${stack}`, async () => {
      const request = { kinds: [EventKind.SERVER] };
      const before = await watch(request, stack);
      const weigh = (weight: number) =>
        haplane.call("haplane.v1.Configuration/Update", {
          resource: { name: "backends/web/servers/b", server: { weight } },
          updateMask: "weight",
        });
      const weights = (watching: Watching) =>
        watching.events.flatMap(({ payload, ephemeral }) =>
          payload.case === "server" && !ephemeral ? [payload.value.weight] : [],
        );
      await weigh(101);
      await waitFor("the first change", () => weights(before).includes(101));
      await weigh(102);
      await haplane.crash();
      await before.ended();
      await weigh(103);
      const onwards = await watch({ ...request, cursor: before.cursor }, stack);
      await waitFor("the last change", () => weights(onwards).includes(103));
      assert.deepEqual([...weights(before), ...weights(onwards)], [101, 102, 103]);
      await onwards.cancel();
      await weigh(100);
    });
  }

  test("a thousand watches that are given up at once hurt no other, and leave nothing", async () => {
    const other = await watch({ kinds: [EventKind.SERVER] });
    const open = async () =>
      Number(/^haplane_watchers (\d+)$/m.exec(await haplane.metrics())?.[1] ?? Number.NaN);
    await waitFor("those of other tests to be gone", async () => (await open()) === 1);
    const transports = Array.from({ length: 4 }, () => transportOf());
    for (let round = 0; round < 10; round += 1) {
      const quick = Array.from(
        { length: 100 },
        (_, i) => new Watching(transports[i % 4]!, headers(), { includeCurrent: true }),
      );
      if (round % 2 === 1) await Promise.all(quick.map((each) => each.begun().catch(() => undefined)));
      await Promise.all(quick.map((each) => each.cancel()));
    }
    await waitFor("the watches to be gone", async () => (await open()) === 1);
    await haplane.call("haplane.v1.Configuration/Update", {
      resource: { name: "backends/web/servers/b", server: { weight: 77 } },
      updateMask: "weight",
    });
    await other.seen("a change", ({ payload }) => payload.case === "server" && payload.value.weight === 77);
    await other.cancel();
  });
});

/** Status and body of `/healthz` for one service, asked without credentials. */
async function healthz(dir: string, service: string): Promise<string> {
  const asked = get({
    socketPath: join(dir, "state", "connect.sock"),
    path: `/healthz?service=${encodeURIComponent(service)}`,
  });
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  return `${response.statusCode} ${(await text(response)).trim()}`;
}
