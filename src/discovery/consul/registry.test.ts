import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { afterEach, beforeEach, describe, test } from "node:test";
import { plainSettings } from "../../../test/support/consul-settings.ts";
import { observe } from "../../../test/support/observed-registry.ts";
import {
  healthEntry,
  type Misbehaviour,
  type ScriptedConsul,
  startScriptedConsul,
} from "../../../test/support/scripted-consul.ts";
import { waitFor } from "../../../test/support/wait.ts";
import { systemClock } from "../../lib/clock.ts";
import { CONSUL_DEFAULTS, type ConsulOptions, createConsulRegistry } from "./registry.ts";
import type { ConsulSettings } from "./settings.ts";

const TOKEN = "5f2a-secret-77";

let server: ScriptedConsul;

beforeEach(async () => {
  server = await startScriptedConsul();
});
afterEach(() => server.stop());

function registry(options: Partial<ConsulOptions> = {}, settings: Partial<ConsulSettings> = {}) {
  const { address, port } = server;
  return createConsulRegistry(plainSettings(address, port, { token: TOKEN, ...settings }), {
    ...CONSUL_DEFAULTS,
    answerMs: 250,
    maxBytes: 100_000,
    clock: systemClock,
    ...options,
  });
}

function requestsFor(path: string) {
  return server.requests.filter((request) => request.path === path);
}

/** Answers with a body of any kind under an index that would be news. */
function answer(body: string, headers: Record<string, string> = {}, status = 200): Misbehaviour {
  return (_request, response) => {
    response.writeHead(status, {
      "content-type": "application/json",
      "x-consul-index": "999",
      ...headers,
    });
    response.end(body);
    return true;
  };
}

function half(then: (response: ServerResponse) => void): Misbehaviour {
  return (_request, response) => {
    response.writeHead(200, {
      "content-type": "application/json",
      "x-consul-index": "999",
      "content-length": "1000",
    });
    response.write("[{");
    setImmediate(() => then(response));
    return true;
  };
}

function entry(change: (entry: Record<string, Record<string, unknown>>) => void): string {
  const good = JSON.parse(JSON.stringify(healthEntry("web", { id: "a", port: 80 })));
  change(good);
  return JSON.stringify([good]);
}

const nonsense: Record<string, { how: Misbehaviour; says: RegExp }> = {
  "status 500": { how: answer("No cluster leader", {}, 500), says: /status 500: "No cluster leader"/ },
  "status 403": { how: answer("ACL not found", {}, 403), says: /status 403/ },
  "status 404": { how: answer("404 page not found", {}, 404), says: /status 404/ },
  "status 429": { how: answer("Your IP is issuing too many requests", {}, 429), says: /status 429/ },
  "a redirect": { how: answer("", { location: "/" }, 302), says: /status 302/ },
  "a page of HTML": { how: answer("<html>", { "content-type": "text/html" }), says: /not Consul's/ },
  "HTML called JSON": { how: answer("<html>"), says: /not Consul's: .*JSON/ },
  "JSON cut short": { how: answer('[{"Node":'), says: /not Consul's: .*JSON/ },
  "no body": { how: answer(""), says: /not Consul's/ },
  null: { how: answer("null"), says: /not Consul's/ },
  "a number": { how: answer("7"), says: /not Consul's/ },
  "the wrong kind of list": { how: answer('["web"]'), says: /not Consul's/ },
  "no index": {
    how: (_request, response) => {
      response.writeHead(200, { "content-type": "application/json" }).end("[]");
      return true;
    },
    says: /X-Consul-Index/,
  },
  "an index that is none": { how: answer("[]", { "x-consul-index": "soon" }), says: /X-Consul-Index/ },
  "an instance of another service": {
    how: answer(JSON.stringify([healthEntry("other", { id: "a", port: 80 })])),
    says: /another service/,
  },
  "a port that is a string": {
    how: answer(entry(({ Service }) => Object.assign(Service ?? {}, { Port: "80" }))),
    says: /Port/,
  },
  "a port that is no number": {
    how: answer(entry(({ Service }) => Object.assign(Service ?? {}, { Port: "80" }))),
    says: /Port/,
  },
  "no node": { how: answer(entry((good) => delete good.Node)), says: /Node/ },
  "no id": {
    how: answer(entry(({ Service }) => Object.assign(Service ?? {}, { ID: "" }))),
    says: /Service.ID/,
  },
  "checks that are none": {
    how: answer(entry((good) => Object.assign(good, { Checks: "passing" }))),
    says: /Checks/,
  },
  "a weight that is a string": {
    how: answer(entry(({ Service }) => Object.assign(Service ?? {}, { Weights: { Passing: "9" } }))),
    says: /Weights/,
  },
  "a reset": {
    how: (_request, response) => {
      response.destroy();
      return true;
    },
    says: /socket hang up|ECONNRESET/,
  },
  "half an answer and a reset": {
    how: half((response) => response.destroy()),
    says: /in the middle of the answer/,
  },
  "half an answer and silence": { how: half(() => {}), says: /timed out/ },
  silence: { how: () => true, says: /timed out/ },
  "an answer without end": {
    how: (_request, response) => {
      response.writeHead(200, { "content-type": "application/json", "x-consul-index": "999" });
      const more = () => {
        if (response.writable) response.write(" ".repeat(50_000), () => setImmediate(more));
      };
      response.on("error", () => {});
      more();
      return true;
    },
    says: /larger than 100000 bytes/,
  },
};

describe("whatever comes instead of an answer about a service is a failure, never an empty answer, and heals", () => {
  for (const [name, { how, says }] of Object.entries(nonsense)) {
    test(name, async () => {
      server.set("web", [{ id: "a", port: 80, address: "10.0.0.1" }]);
      const watch = observe(registry());
      await watch.untilIds("web", ["a"]);
      const before = watch.events.length;
      server.misbehave((request, response) => request.path.includes("/health/") && how(request, response));
      server.churn();
      server.disconnect();
      const { service, error } = await watch.until("failure", before);
      const failed = await waitFor("the service's own failure", () =>
        watch.events
          .slice(before)
          .find(
            (event) => event.kind === "failure" && event.service === "web" && says.test(event.error.message),
          ),
      );
      assert.ok(failed, `${service}: ${error.message}`);
      assert.deepEqual(
        watch.instances("web")?.map(({ id }) => id),
        ["a"],
      );
      server.misbehave(undefined);
      server.set("web", [
        { id: "a", port: 80, address: "10.0.0.1" },
        { id: "b", port: 81, address: "10.0.0.1" },
      ]);
      await watch.untilIds("web", ["a", "b"]);
      await watch.stop();
    });
  }
});

describe("so it is with the list of services", () => {
  const { "status 500": status, "a page of HTML": html, "JSON cut short": cut, silence } = nonsense;
  for (const [name, misbehaviour] of Object.entries({ status, html, cut, silence })) {
    test(name, async () => {
      server.set("web", [{ id: "a", port: 80, address: "10.0.0.1" }]);
      const watch = observe(registry({ listWaitMs: 300 }));
      await watch.untilIds("web", ["a"]);
      server.misbehave(
        (request, response) =>
          request.path === "/v1/catalog/services" && misbehaviour!.how(request, response),
      );
      server.churn();
      await waitFor("the list's failure", () =>
        watch.events.some((event) => event.kind === "failure" && event.service === undefined),
      );
      assert.deepEqual([...(watch.services ?? [])], ["web"]);
      server.misbehave(undefined);
      server.set("app", []);
      await waitFor("the new service", () => watch.services?.has("app"));
      await watch.stop();
    });
  }
});

test("a failing service does not hold up the others", async () => {
  server.set("ill", [{ id: "a", port: 80, address: "10.0.0.1" }]);
  server.set("web", [{ id: "a", port: 80, address: "10.0.0.1" }]);
  server.misbehave(
    (request, response) => request.path.endsWith("/ill") && answer("", {}, 500)(request, response),
  );
  const watch = observe(registry());
  await watch.untilIds("web", ["a"]);
  server.set("web", [{ id: "b", port: 80, address: "10.0.0.1" }]);
  await watch.untilIds("web", ["b"]);
  assert.equal(watch.instances("ill"), undefined);
  await watch.stop();
});

test("when an address fails, the queries go to the next, and from the last to the first", async () => {
  const one = [{ id: "a", port: 80, address: "10.0.0.1" }];
  server.set("web", one);
  const other = await startScriptedConsul("127.0.0.2", server.port);
  other.set("web", one);
  const watch = observe(registry({}, { moreAddresses: ["127.0.0.2"] }));
  await watch.untilIds("web", ["a"]);
  assert.equal(other.requests.length, 0, "the first is asked as long as it answers");
  server.misbehave(answer("no", {}, 500));
  server.disconnect();
  other.set("web", [...one, { id: "b", port: 81, address: "10.0.0.1" }]);
  await watch.untilIds("web", ["a", "b"]);
  server.misbehave(undefined);
  server.setIndex(20);
  server.set("web", [...one, { id: "c", port: 82, address: "10.0.0.1" }]);
  await other.stop();
  await watch.untilIds("web", ["a", "c"]);
  assert.deepEqual(
    watch.events.filter(({ kind }) => kind === "doubt"),
    [],
  );
  await watch.stop();
});

test("the token goes with every query and into no message", async () => {
  server.set("web", [{ id: "a", port: 80, address: "10.0.0.1" }]);
  const consul = registry();
  const watch = observe(consul);
  await watch.untilIds("web", ["a"]);
  await consul.confirm("web", AbortSignal.timeout(1_000));
  assert.ok(server.requests.length >= 4);
  for (const { token } of server.requests) assert.equal(token, TOKEN);
  server.misbehave(answer(`token ${TOKEN} is not known`, { "content-type": "text/plain" }, 403));
  server.churn();
  const { error } = await watch.until("failure");
  assert.doesNotMatch(JSON.stringify(error) + error.stack + String(error.cause), /secret/);
  assert.match(error.message, /token … is not known/);
  await watch.stop();
});

test("a Consul at an IPv6 address is reached", async () => {
  await server.stop();
  server = await startScriptedConsul("::1");
  const watch = observe(registry());
  await watch.until("services");
  await watch.stop();
});

test("courteous: an idle registry is asked once per query and wait", async () => {
  server.set("web", [{ id: "a", port: 80, address: "10.0.0.1" }]);
  const watch = observe(registry({ listWaitMs: 100, serviceWaitMs: 60_000 }));
  await waitFor("some waits of the list", () => requestsFor("/v1/catalog/services").length >= 4);
  const [first, ...waiting] = requestsFor("/v1/catalog/services");
  assert.equal(first?.query.get("index"), null);
  assert.ok(waiting.every(({ query }) => query.get("index") === "11" && query.get("wait") === "100ms"));
  assert.equal(requestsFor("/v1/health/service/web").length, 2, "an answer, and a query that waits");
  await watch.stop();
});

test("courteous: an index that churns without a change is followed at a limited pace", async () => {
  server.set("web", [{ id: "a", port: 80, address: "10.0.0.1" }]);
  const watch = observe(registry());
  await watch.untilIds("web", ["a"]);
  const began = performance.now();
  const churn = setInterval(() => server.churn(), 2);
  await waitFor("a while of churning", () => performance.now() - began > 2_000);
  clearInterval(churn);
  const asked = requestsFor("/v1/health/service/web").length;
  assert.ok(asked < 30, `asked ${asked} times in 2 s, while the index moved 1,000 times`);
  const answers = watch.events.flatMap((event) => (event.kind === "instances" ? [event.instances] : []));
  assert.equal(new Set(answers).size, 1, "an answer that says the same is the same");
  await watch.stop();
});

test("index 0 is taken for 1, so that the next query waits", async () => {
  server.setIndex(0);
  const watch = observe(registry());
  const { index } = await watch.until("services");
  assert.equal(index, 1n);
  await waitFor("the second query", () => requestsFor("/v1/catalog/services").length >= 2);
  assert.equal(requestsFor("/v1/catalog/services")[1]?.query.get("index"), "1");
  await watch.stop();
});

test("an index that goes back is told before the answer, and everything is asked for again from the beginning", async () => {
  server.set("web", [{ id: "a", port: 80, address: "10.0.0.1" }]);
  server.setIndex(500);
  const watch = observe(registry());
  await watch.untilIds("web", ["a"]);
  const before = watch.events.length;
  const requestsBefore = server.requests.length;
  server.setIndex(5);
  server.disconnect();
  const { service, reason } = await watch.until("doubt", before);
  assert.match(reason, /went back from 500 to 5/);
  await waitFor("the list after the doubt", () => {
    const since = watch.events.slice(before);
    const doubt = since.findIndex((event) => event.kind === "doubt" && event.service === undefined);
    return doubt >= 0 && since.slice(doubt).some(({ kind }) => kind === "services");
  });
  await waitFor("queries that wait on the new index", () =>
    ["/v1/catalog/services", "/v1/health/service/web"].every((path) =>
      server.requests
        .slice(requestsBefore)
        .some((request) => request.path === path && request.query.get("index") === "5"),
    ),
  );
  assert.ok(service === undefined || service === "web");
  await watch.stop();
});

test("when the list goes back, every service is asked for again at once, whatever its own query waits for", async () => {
  server.set("web", [{ id: "a", port: 80, address: "10.0.0.1" }]);
  const watch = observe(registry({ listWaitMs: 100 }));
  await watch.untilIds("web", ["a"]);
  await waitFor("a query that waits", () => requestsFor("/v1/health/service/web").length === 2);
  server.misbehave(
    (request, response) =>
      request.path === "/v1/catalog/services" &&
      answer('{"web":[]}', { "x-consul-index": "3" })(request, response),
  );
  await watch.until("doubt");
  await waitFor("the service to be asked for again", () => requestsFor("/v1/health/service/web").length >= 3);
  assert.equal(requestsFor("/v1/health/service/web")[2]?.query.get("index"), null);
  await watch.stop();
});

test("a cluster without a leader is in doubt", async () => {
  const consul = registry();
  const watch = observe(consul);
  await watch.until("services");
  server.setLeader("");
  server.churn();
  const { reason } = await watch.until("doubt");
  assert.match(reason, /no leader/);
  assert.equal((await consul.confirm("web", AbortSignal.timeout(1_000))).doubt, "the cluster has no leader");
  await watch.stop();
});

test("a strict read is made with consistency, and fails as any query does", async () => {
  server.set("web", [{ id: "a", port: 80, address: "10.0.0.1" }]);
  const signal = AbortSignal.timeout(5_000);
  await registry().confirm("web", signal);
  assert.equal(requestsFor("/v1/health/service/web").at(-1)?.query.get("consistent"), "1");
  server.misbehave(answer("", {}, 500));
  await assert.rejects(registry().confirm("web", signal), { reason: "CONSUL_UNAVAILABLE" });
  await waitFor("no connection to be left", () => server.connections === 0);
});

test("instances that cannot be used are told apart from those that are not there", async () => {
  server.set("web", [
    { id: "good", port: 80, address: "10.0.0.1" },
    { id: "v6", port: 80, address: "2001:DB8:0::1" },
    { id: "node-address", port: 80 },
    { id: "name", port: 80, address: "web.example" },
    { id: "any", port: 80, address: "0.0.0.0" },
    { id: "any6", port: 80, address: "::" },
    { id: "scoped", port: 80, address: "fe80::1%eth0" },
    { id: "portless", port: 0, address: "10.0.0.1" },
    { id: "heavy", port: 80, address: "10.0.0.1", weight: 1_000 },
    { id: "warned", port: 80, address: "10.0.0.1", status: "warning" },
    { id: "maintained", port: 80, address: "10.0.0.1", status: "maintenance" },
  ]);
  const watch = observe(registry());
  await watch.untilIds("web", ["good", "v6", "node-address", "heavy"]);
  const found = new Map(watch.instances("web")?.map((instance) => [instance.id, instance]));
  assert.equal(found.get("v6")?.address, "2001:db8::1");
  assert.equal(found.get("node-address")?.address, "10.0.0.9");
  assert.equal(found.get("heavy")?.weight, 256);
  const { leftOut } = await watch.until("instances");
  assert.deepEqual(
    leftOut.map(({ kind, id }) => `${kind} ${id}`),
    [
      ...["name", "any", "any6", "scoped", "portless"].map((id) => `unusable ${id}`),
      ...["warned", "maintained"].map((id) => `unhealthy ${id}`),
    ],
  );
  await watch.stop();
});

describe("more services than have a watch each", () => {
  const one = [{ id: "a", port: 80, address: "10.0.0.1" }];
  const names = ["one", "two", "three", "four", "five"];
  const shared = () => observe(registry({}, { maxWatches: 4 }));

  test("share two queries, and a change of any is seen", async () => {
    for (const name of names) server.set(name, one);
    const watch = shared();
    for (const name of names) await watch.untilIds(name, ["a"]);
    assert.deepEqual(
      watch.events.filter(({ kind }) => kind === "failure"),
      [],
    );
    await waitFor("the queries that answer at once to end", () => {
      const waiting = server.requests.filter(({ query }) => query.has("index")).map(({ path }) => path);
      return new Set(waiting).size === 2;
    });
    server.set("three", [...one, { id: "b", port: 81, address: "10.0.0.1" }]);
    await watch.untilIds("three", ["a", "b"]);
    server.set("three", [{ ...one[0]!, status: "critical" }]);
    await watch.untilIds("three", []);
    server.set("six", one);
    await watch.untilIds("six", ["a"]);
    await watch.stop();
    await waitFor("no connection to be left", () => server.connections === 0);
  });

  test("have a watch each again when there are few", async () => {
    for (const name of names) server.set(name, one);
    const watch = shared();
    for (const name of names) await watch.untilIds(name, ["a"]);
    server.set("one", undefined);
    server.set("two", undefined);
    await waitFor("a blocking query for each that is left", () =>
      ["three", "four", "five"].every((name) =>
        requestsFor(`/v1/health/service/${name}`).some(({ query }) => query.has("index")),
      ),
    );
    await watch.stop();
  });

  test("are asked again after failures, less often than they fail", async () => {
    for (const name of names) server.set(name, one);
    const watch = shared();
    for (const name of names) await watch.untilIds(name, ["a"]);
    const since = server.requests.length;
    server.misbehave(answer("no", {}, 500));
    server.churn();
    await waitFor("a service's query to fail", () =>
      watch.events.some((event) => event.kind === "failure" && event.service !== undefined),
    );
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.ok(server.requests.length - since < 120, `${server.requests.length - since} requests`);
    server.misbehave(undefined);
    server.set("five", [...one, { id: "b", port: 81, address: "10.0.0.1" }]);
    await watch.untilIds("five", ["a", "b"]);
    await watch.stop();
  });

  test("are all heard of, however many of them get no good answer", async () => {
    const bad = Array.from({ length: 40 }, (_, i) => `bad-${i}`);
    for (const name of [...bad, ...names]) server.set(name, one);
    const garbage = answer("[{}]");
    server.misbehave((request, response) => request.path.includes("/bad-") && garbage(request, response));
    const watch = shared();
    for (const name of names) await watch.untilIds(name, ["a"]);
    server.set("five", [...one, { id: "b", port: 81, address: "10.0.0.1" }]);
    await watch.untilIds("five", ["a", "b"]);
    await watch.stop();
  });

  test("are not asked without end while the index moves and nothing changes", async () => {
    for (const name of names) server.set(name, one);
    const watch = shared();
    for (const name of names) await watch.untilIds(name, ["a"]);
    const since = requestsFor("/v1/health/service/one").length;
    const churning = setInterval(() => server.churn(), 2);
    await new Promise((resolve) => setTimeout(resolve, 500));
    clearInterval(churning);
    const asked = requestsFor("/v1/health/service/one").length - since;
    assert.ok(asked <= 8, `asked ${asked} times`);
    await watch.stop();
  });
});

test("an abort closes every connection, whatever the queries are doing", async () => {
  for (const name of ["a", "b", "c"]) server.set(name, [{ id: "a", port: 80, address: "10.0.0.1" }]);
  const watch = observe(registry());
  for (const name of ["a", "b", "c"]) await watch.untilIds(name, ["a"]);
  server.misbehave((request, response) => {
    if (request.path.endsWith("/b")) return half(() => {})(request, response);
    return request.path.endsWith("/c") && answer("", {}, 500)(request, response);
  });
  server.churn();
  await waitFor("a query in the middle of its answer", () => requestsFor("/v1/health/service/b").length >= 3);
  await waitFor("a query that waits to be made again", () => requestsFor("/v1/health/service/c").length >= 3);
  assert.ok(server.connections >= 4);
  await watch.stop();
  // The server would end idle connections by itself after 5 s.
  await waitFor("no connection to be left", () => server.connections === 0, { timeoutMs: 2_000 });
});
