import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { Agent, createServer, get, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { after, afterEach, before, describe, test } from "node:test";
import { canAddServer } from "../../src/haproxy/dynamic-servers.ts";
import type { ServerChange } from "../../src/haproxy/server-change.ts";
import { splitParameters } from "../../src/haproxy/server-words.ts";
import type { DomainError } from "../../src/lib/errors.ts";
import { askOnce, haproxyBinary } from "../support/haproxy.ts";
import { freePort } from "../support/ports.ts";
import { statRows } from "../support/stat-rows.ts";
import { manageHaproxy, type SupervisedHaproxy } from "../support/supervised-haproxy.ts";
import { waitFor } from "../support/wait.ts";

describe("servers at runtime", () => {
  let managed: SupervisedHaproxy;
  let app: Server;
  let appPort: number;
  let port: number;
  const agent = new Agent({ keepAlive: true });
  /** Answers that the app owes. */
  const slow: ServerResponse[] = [];

  before(async () => {
    app = createServer((request, response) => {
      if (request.url === "/slow") slow.push(response);
      else response.end("ok");
    }).listen(0, "127.0.0.1");
    await once(app, "listening");
    appPort = (app.address() as AddressInfo).port;
    port = await freePort();
    managed = manageHaproxy(`frontend f
  bind 127.0.0.1:${port}
  default_backend b
backend b
  balance roundrobin
  server tracked 127.0.0.1:${appPort} check disabled
backend static
  balance source
  server s 127.0.0.1:1`);
    await managed.haproxy.start();
    managed.running();
  });
  after(async () => {
    agent.destroy();
    app.closeAllConnections();
    app.close();
    await managed.end();
  });

  // A test that fails leaves nothing to the next.
  afterEach(async () => {
    for (const response of slow.splice(0)) response.end();
    const left = (await managed.haproxy.runtime.serverStates("b")).filter(
      ({ server }) => server !== "tracked",
    );
    await apply(...left.map(({ server }) => remove(server, { drainMs: 0, shutdownSessions: true })));
  });

  const apply = (...changes: ServerChange[]) => managed.haproxy.runtime.applyServers(changes);
  const add = (
    server: string,
    more: { words?: string[]; state?: "ready" | "drain" | "maint" } = {},
  ): ServerChange => ({
    ...{ kind: "add", backend: "b", server, address: "127.0.0.1", port: appPort, words: [], ...more },
  });
  const remove = (server: string, more = {}): ServerChange => ({
    kind: "delete",
    backend: "b",
    server,
    ...more,
  });
  const state = async (server: string) =>
    (await managed.haproxy.runtime.serverStates("b")).find((candidate) => candidate.server === server);
  const request = async (path: string, using = agent): Promise<number> => {
    const [response] = (await once(get({ host: "127.0.0.1", port, path, agent: using }), "response")) as [
      IncomingMessage,
    ];
    response.resume();
    await once(response, "end");
    return response.statusCode ?? 0;
  };

  /** Asserts that the only change was made. */
  async function done(...changes: ServerChange[]): Promise<void> {
    const outcomes = await apply(...changes);
    for (const outcome of outcomes) if (!outcome.ok) throw outcome.error;
  }

  async function refusedWith(reason: string, change: ServerChange): Promise<DomainError> {
    const [outcome] = await apply(change);
    assert.ok(outcome?.ok === false);
    assert.equal(outcome.error.reason, reason, outcome.error.message);
    return outcome.error;
  }

  test("an added server takes traffic, and a deleted one is gone", async () => {
    assert.equal(await request("/"), 503);
    await done(add("a"));
    assert.equal(await request("/"), 200);
    const added = await state("a");
    assert.deepEqual([added?.address, added?.port, added?.operational], ["127.0.0.1", appPort, "running"]);
    await done(remove("a"));
    assert.equal(await state("a"), undefined);
    assert.equal(await request("/"), 503);
  });

  test("words are merged as the file merges default-server and server", async () => {
    const words = [
      "check",
      "inter",
      "5s",
      "weight",
      "10",
      "no-check",
      "check",
      "inter",
      "100ms",
      "weight",
      "20",
      "id",
      "77",
    ];
    await done(add("w", { words }));
    const added = await state("w");
    assert.deepEqual([added?.weight, added?.serverId, added?.idForced], [20, 77, true]);
    assert.deepEqual([added?.check.configured, added?.check.enabled], [true, true]);
    await waitFor("the check to have passed", async () => (await state("w"))?.check.result === "passed");
    await done(add("off", { words: ["disabled", "check", "no-check"] }));
    const off = await state("off");
    assert.deepEqual([off?.admin.forcedMaint, off?.check.configured], [true, false]);
    await done(add("on", { words: ["disabled", "enabled"] }), add("drained", { state: "drain" }));
    assert.equal((await state("on"))?.admin.forcedMaint, false);
    assert.deepEqual((await state("drained"))?.admin.forcedDrain, true);
    await done(...["w", "off", "on", "drained"].map((server) => remove(server)));
  });

  test("IPv6 addresses and UNIX sockets can be added", async () => {
    await done(
      { kind: "add", backend: "b", server: "v6", address: "2001:db8::1", port: 80, words: [] },
      { kind: "add", backend: "b", server: "unix", address: "unix@/run/app.sock", port: 0, words: [] },
    );
    assert.deepEqual([(await state("v6"))?.address, (await state("v6"))?.port], ["2001:db8::1", 80]);
    await done(remove("v6"), remove("unix"));
  });

  test("address, port, weight and state are set, and say when they are refused", async () => {
    await done(add("s"));
    const set = (more: object): ServerChange => ({ kind: "set", backend: "b", server: "s", ...more });
    await done(set({ address: "127.0.0.2", port: 81, weight: 0, state: "drain" }));
    const changed = await state("s");
    assert.deepEqual(
      [changed?.address, changed?.port, changed?.weight, changed?.admin.forcedDrain],
      ["127.0.0.2", 81, 0, true],
    );
    await done(set({ address: "127.0.0.2", port: 81 }), set({ state: "ready" }), set({ weight: "50%" }));
    assert.match((await refusedWith("HAPROXY_REFUSED", set({ weight: 1000 }))).message, /weight/i);
    await refusedWith("FIELD_INVALID", set({ address: "host.example" }));
    await refusedWith("FIELD_INVALID", set({ port: 1 }));
    await refusedWith("FIELD_INVALID", set({ address: "127.0.0.3", port: 70_000 }));
    await refusedWith("FIELD_INVALID", { ...add("x"), port: 70_000 } as ServerChange);
    const noServer = await refusedWith("RESOURCE_NOT_FOUND", {
      kind: "set",
      backend: "b",
      server: "none",
      weight: 1,
    });
    assert.deepEqual(noServer.resource, { type: "server", name: "backends/b/servers/none" });
    const noBackend = await refusedWith("RESOURCE_NOT_FOUND", {
      kind: "set",
      backend: "no",
      server: "s",
      weight: 1,
    });
    assert.deepEqual(noBackend.resource, { type: "backend", name: "backends/no" });
    await done(remove("s"));
  });

  test("a batch says for each change what became of it", async () => {
    const count = 2_000;
    const batch = Array.from({ length: count }, (_, i) =>
      add(`n${i}`, { words: ["weight", String(i % 100)] }),
    );
    batch[count / 2] = add("n0");
    const outcomes = await apply(...batch);
    const failed = outcomes.flatMap((outcome, index) => (outcome.ok ? [] : [[index, outcome.error.reason]]));
    assert.deepEqual(failed, [[count / 2, "RESOURCE_EXISTS"]]);
    // The batch without the one that failed, and the one that was there before.
    assert.equal((await managed.haproxy.runtime.serverStates("b")).length, count);
    const rows = statRows(await managed.haproxy.runtime.stats());
    assert.equal(rows.filter(({ type, pxname }) => type === "2" && pxname === "b").length, count);
    await done(...batch.filter((_, i) => i !== count / 2).map(({ server }) => remove(server)));
    assert.deepEqual(
      (await managed.haproxy.runtime.serverStates("b")).map(({ server }) => server),
      ["tracked"],
    );
  });

  test("changes of one server are made in their order", async () => {
    await done(add("o"), remove("o"), add("o", { words: ["weight", "3"] }), {
      ...{ kind: "set", backend: "b", server: "o", weight: 4 },
    });
    assert.deepEqual([(await state("o"))?.weight, (await state("o"))?.initialWeight], [4, 3]);
    await done(remove("o"));
  });

  test("a server with a live connection is deleted when that has ended", async () => {
    await done(add("live"));
    const held = await holdRequest();
    let gone = false;
    const deletion = done(remove("live", { drainMs: 20_000 })).then(() => {
      gone = true;
    });
    await waitFor("it to be out of rotation", async () => (await state("live"))?.admin.forcedMaint);
    assert.equal((await statOf("live"))?.scur, "1");
    assert.equal(gone, false);
    await held.end();
    await deletion;
    assert.equal(await state("live"), undefined);
  });

  test("a server whose connection does not end is left in maintenance, or its sessions are shut down", async () => {
    await done(add("stuck"));
    const status = request("/slow").catch(() => "cut");
    await waitFor("the request to be with the server", () => slow.shift());
    const error = await refusedWith("TIMED_OUT", remove("stuck", { drainMs: 100 }));
    assert.match(error.message, /still has connections after 100 ms/);
    assert.equal((await state("stuck"))?.admin.forcedMaint, true);
    await done(remove("stuck", { drainMs: 50, shutdownSessions: true }));
    assert.equal(await state("stuck"), undefined);
    assert.notEqual(await status, 200);
  });

  test("idle connections to a server do not keep it from being deleted", async () => {
    await done(add("idle"));
    await Promise.all(Array.from({ length: 20 }, () => request("/")));
    const started = performance.now();
    await done(remove("idle", { drainMs: 15_000 }));
    assert.ok(performance.now() - started < 12_000);
    assert.equal(await state("idle"), undefined);
  });

  test("a server that is busy when it is taken out is deleted soon after its requests have ended", async () => {
    // A connection that becomes idle in maintenance would keep it for one or several purge delays, 5 s each.
    await done(add("busy"));
    const held = await Promise.all(Array.from({ length: 8 }, holdRequest));
    const deletion = done(remove("busy"));
    await waitFor("it to be out of rotation", async () => (await state("busy"))?.admin.forcedMaint);
    await Promise.all(held.map((one) => one.end()));
    const ended = performance.now();
    await deletion;
    assert.ok(performance.now() - ended < 2_500, `it took ${performance.now() - ended} ms`);
    assert.equal(await state("busy"), undefined);
  });

  test("an added server keeps idle connections as one of the file does", async () => {
    await done(add("pool"), add("small", { words: ["pool-max-conn", "7"] }));
    const limits = await idleLimits();
    assert.equal(limits.get("pool"), limits.get("tracked"));
    assert.equal(limits.get("small"), "5000 ms, at most 7");
    assert.equal(await request("/"), 200);
    assert.equal(await request("/"), 200);
    await done(remove("pool"), remove("small"));
  });

  test("a deletion that is given up stops at once", async () => {
    await done(add("given"));
    const held = await holdRequest();
    const controller = new AbortController();
    const deletion = managed.haproxy.runtime.applyServers([remove("given")], { signal: controller.signal });
    await waitFor("it to be out of rotation", async () => (await state("given"))?.admin.forcedMaint);
    controller.abort();
    const aborted = performance.now();
    const [outcome] = await deletion;
    assert.ok(outcome?.ok === false && outcome.error.reason === "CANCELLED");
    assert.ok(performance.now() - aborted < 1_000);
    await held.end();
  });

  test("what HAProxy cannot do is refused with its words, and hostile names before they are sent", async () => {
    const error = await refusedWith("HAPROXY_REFUSED", { ...add("x"), backend: "static" } as ServerChange);
    assert.match(String(error.metadata.output), /dynamic load balancing/);
    await refusedWith("RESOURCE_NOT_FOUND", { ...add("x"), backend: "none" } as ServerChange);
    await refusedWith("HAPROXY_REFUSED", add("x", { words: ["nonsense"] }));
    await refusedWith("FIELD_INVALID", { ...add("x"), address: "host.example" } as ServerChange);
    for (const name of ["", "a b", "a/b", "a;b", "a\nb", "#1"]) {
      await refusedWith("FIELD_INVALID", add(name));
      await refusedWith("FIELD_INVALID", { ...remove("x"), backend: name } as ServerChange);
    }
    await assert.rejects(managed.haproxy.runtime.serverStates("none"), { reason: "RESOURCE_NOT_FOUND" });
  });

  test("a user's command has a connection of its own, which it may spoil", async () => {
    const { runtime } = managed.haproxy;
    assert.match(await runtime.execute(["show", "version"]), /^\d+\.\d+/);
    await assert.rejects(runtime.execute(["nonsense"]), { reason: "HAPROXY_REFUSED" });
    await runtime.execute(["user"]);
    await assert.rejects(runtime.execute(["quit"]), { reason: "HAPROXY_UNAVAILABLE" });
    await assert.rejects(runtime.execute(["show", "version;", "disable", "frontend", "f"]), {
      name: "DomainError",
    });
    await done(add("after"), remove("after"));
  });

  async function statOf(server: string) {
    const rows = statRows(await managed.haproxy.runtime.stats());
    return rows.find(({ pxname, svname }) => pxname === "b" && svname === server);
  }

  /** How long the servers keep idle connections, and how many. */
  async function idleLimits(): Promise<ReadonlyMap<string, string>> {
    const [head = "", ...rows] = (await askOnce(managed.paths.statsSocket, "show servers conn b")).split(
      "\n",
    );
    const columns = head.slice(2).split(" ");
    return new Map(
      rows.map((row) => {
        const values = row.split(" ");
        const value = (column: string) => values[columns.indexOf(column)];
        const [, name = ""] = (values[0] ?? "").split("/");
        return [name, `${value("purge_delay")} ms, at most ${value("idle_lim")}`];
      }),
    );
  }

  /** Makes a request that is with the server until `end` lets the app answer. */
  async function holdRequest(): Promise<{ end(): Promise<void> }> {
    const status = request("/slow");
    const answer = await waitFor("the request to be with the server", () => slow.shift());
    return {
      async end() {
        answer.end("ok");
        assert.equal(await status, 200);
      },
    };
  }
});

describe("the table of what can be added", () => {
  /** An argument that each keyword takes, where "1" is none. */
  const ARGUMENTS: Readonly<Record<string, string>> = {
    "check-proto": "h1",
    proto: "h1",
    "check-sni": "str(a)",
    sni: "str(a)",
    "pool-conn-name": "str(a)",
    "check-pool-conn-name": "a",
    "ssl-max-ver": "TLSv1.2",
    "ssl-min-ver": "TLSv1.2",
    verify: "none",
    alpn: "h2",
    "check-alpn": "h2",
    npn: "h2",
    observe: "layer4",
    "on-error": "fastinter",
    "on-marked-down": "shutdown-sessions",
    "on-marked-up": "shutdown-backup-sessions",
    "init-state": "up",
    "hash-key": "id",
    ws: "auto",
    source: "127.0.0.1",
    addr: "127.0.0.1",
    "agent-addr": "127.0.0.1",
    "proxy-v2-options": "ssl",
    track: "b/first",
  };

  test("agrees with this HAProxy, keyword by keyword and algorithm by algorithm", async () => {
    const algorithms = [
      "roundrobin",
      "static-rr",
      "leastconn",
      "first",
      "random",
      "random(2)",
      "source",
      "uri whole",
    ];
    algorithms.push("url_param u", "hdr(host)", "rdp-cookie", "hash path");
    const backends = algorithms.flatMap((algorithm) =>
      ["map-based", "consistent"].map((hashType) => ({
        algorithm,
        hashType,
        name: `b${algorithm.replaceAll(/\W/g, "")}-${hashType}`,
      })),
    );
    const managed = manageHaproxy(
      ["backend b\n  server first 127.0.0.1:1 check"]
        .concat(
          backends.map(
            ({ algorithm, hashType, name }) =>
              `backend ${name}\n  balance ${algorithm}\n  hash-type ${hashType}`,
          ),
        )
        .join("\n"),
    );
    try {
      await managed.haproxy.start();
      const { version } = managed.running();
      const { runtime } = managed.haproxy;
      for (const { algorithm, hashType, name } of backends) {
        const table = canAddServer(version, [], { balance: algorithm.split(" "), hashType: [hashType] });
        const found = await runtime.execute(["add", "server", `${name}/n`, "127.0.0.1:1"]).then(
          () => true,
          () => false,
        );
        assert.equal(table.ok, found, `${algorithm} with ${hashType}`);
      }

      const listed = spawnSync(haproxyBinary, ["-dKall", "-q", "-c", "-f", "/dev/null"], {
        encoding: "utf8",
      }).stdout;
      const keywords = [...listed.matchAll(/^\tserver <name> <addr> (\S+)(?: (\+\S+))?/gm)].map((match) => ({
        keyword: match[1] as string,
        takesValue: match[2] !== undefined,
      }));
      assert.ok(keywords.length > 90);
      for (const [index, { keyword, takesValue }] of keywords.entries()) {
        // `usesrc` follows `source` only; the argument of a TLV is part of its name.
        if (keyword === "usesrc" || keyword === "set-proxy-v2-tlv-fmt") continue;
        const words = takesValue ? [keyword, ARGUMENTS[keyword] ?? "1"] : [keyword];
        assert.deepEqual(splitParameters([...words, "backup"]), [words, ["backup"]], keyword);
        const table = canAddServer(version, words, { balance: [], hashType: [] });
        const change: ServerChange = {
          ...{ kind: "add", backend: "b", server: `k${index}`, address: "127.0.0.1", port: 1, words },
        };
        const [outcome] = await runtime.applyServers([change]);
        const refusal = outcome?.ok === false ? String(outcome.error.metadata.output) : "";
        if (table.ok) assert.doesNotMatch(refusal, /not accepted for dynamic|unknown keyword/, keyword);
        else assert.match(refusal, /not accepted for dynamic/, keyword);
      }
    } finally {
      await managed.end();
    }
  });

  test("gives reasons, and judges what is left after later words have won", () => {
    const version = { text: "2.6.12", major: 2, minor: 6, patch: 12 };
    const say = (words: string[], more = {}) =>
      canAddServer(version, words, { balance: [], hashType: [], ...more });
    assert.deepEqual(say(["check", "inter", "1s"]), { ok: true });
    assert.deepEqual(say(["non-stick", "stick", "check", "no-check"]), { ok: true });
    const cookie = say(["cookie", "a"]);
    assert.ok(!cookie.ok);
    assert.match(cookie.reason, /cookie .* before HAProxy 3\.0; this is 2\.6\.12/);
    assert.deepEqual(
      canAddServer({ ...version, major: 3, minor: 0 }, ["cookie", "a"], { balance: [], hashType: [] }),
      {
        ok: true,
      },
    );
    assert.equal(say([], { balance: ["static-rr"] }).ok, false);
    assert.equal(say([], { balance: ["uri"] }).ok, false);
    assert.equal(say([], { balance: ["uri"], hashType: ["consistent"] }).ok, true);
    assert.equal(say([], { mode: "log" }).ok, false);
    assert.equal(
      say(Array.from({ length: 40 }, (_, i) => [`set-proxy-v2-tlv-fmt(${i})`, "x"]).flat()).ok,
      false,
    );
  });
});
