import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { backendOf, type Discovery, startDiscovery } from "../../test/support/discovery.ts";
import { instance } from "../../test/support/scripted-registry.ts";
import { DomainError } from "../lib/errors.ts";

const WEB = backendOf("web");
const HOLD_MS = 30_000;

/** A source that has brought these services (names of instances, by service) to HAProxy. */
async function synced(services: Readonly<Record<string, string>>): Promise<Discovery> {
  const discovery = await startDiscovery();
  await discovery.createSource();
  list(discovery, services);
  await discovery.pass(50);
  assert.equal(discovery.state(), "SYNCED");
  discovery.target.sent.length = 0;
  return discovery;
}

function list(discovery: Discovery, services: Readonly<Record<string, string>>): void {
  discovery.registry.list(
    Object.fromEntries(Object.entries(services).map(([name, ids]) => [name, instances(ids)])),
  );
}

function instances(ids: string) {
  return ids.split(" ").flatMap((id) => (id === "" ? [] : [instance(id)]));
}

function sentKinds({ target }: Discovery): string[] {
  return target.sent.map((sent) => {
    if (sent.kind === "create") return `create ${sent.backends.map(({ name }) => name).join(" ")}`;
    if (sent.kind === "removal") return `remove backends ${sent.names.join(" ")}`;
    if (sent.kind === "growth") return `grow ${sent.backend} by ${sent.servers.length}`;
    return sent.changes.map((change) => `${change.kind} ${change.name}`).join(", ");
  });
}

describe("hitless", () => {
  test("services that appear together are created together, empty ones too, and members are changed one by one from then on", async () => {
    const discovery = await startDiscovery();
    await discovery.createSource();
    list(discovery, { web: "a b", app: "", db: "x" });
    await discovery.pass(50);
    assert.deepEqual(sentKinds(discovery), [`create ${WEB} ${backendOf("app")} ${backendOf("db")}`]);
    assert.deepEqual(discovery.target.lines(WEB), ["n-a 10.0.0.1:8097 1", "n-b 10.0.0.1:8098 1"]);
    discovery.registry.instances("web", instances("a b c"));
    discovery.registry.instances("app", instances("y"));
    await discovery.settle();
    assert.deepEqual(sentKinds(discovery).slice(1), ["add n-c", "add n-y"]);
  });

  test("servers count as live when HAProxy runs them, not when it is to be reloaded for them", async () => {
    const discovery = await synced({ web: "a b" });
    const counts = () => {
      const { services, servers } = discovery.sources.get("sources/s").status ?? {};
      return [services, servers];
    };
    assert.deepEqual(counts(), [1, 2]);
    discovery.target.holdCreations = true;
    list(discovery, { web: "a b", app: "x" });
    await discovery.pass(50);
    assert.deepEqual(discovery.target.names(backendOf("app")), ["n-x"]);
    assert.deepEqual(counts(), [1, 2]);
    discovery.target.release();
    await discovery.settle();
    assert.deepEqual(counts(), [2, 3]);
  });

  test("what an answer brings is told with the time since it was read, once HAProxy runs it", async () => {
    const discovery = await synced({ web: "a b" });
    assert.deepEqual(discovery.applied, [["sources/s", 50]]);
    discovery.target.holdBack = ([change]) => change?.kind === "add";
    list(discovery, { web: "a b c" });
    await discovery.pass(200);
    list(discovery, { web: "a b c d" });
    await discovery.pass(300);
    assert.equal(discovery.applied.length, 1);
    discovery.target.holdBack = () => false;
    discovery.target.release();
    await discovery.settle();
    assert.deepEqual(discovery.applied.slice(1), [["sources/s", 500]]);
    // The same again, a server that goes, and an edit by another hand are nothing that an answer brings.
    list(discovery, { web: "a b c d" });
    list(discovery, { web: "a b c" });
    await discovery.pass(100);
    discovery.target.editByHand(WEB, []);
    await discovery.pass(100);
    assert.equal(discovery.target.names(WEB).length, 3);
    assert.equal(discovery.applied.length, 2);
  });

  test("a change that HAProxy refuses at first is late by its retries", async () => {
    const discovery = await synced({ web: "a" });
    discovery.target.refuse = () => "not now";
    list(discovery, { web: "a b" });
    await discovery.pass(500);
    discovery.target.refuse = () => undefined;
    await discovery.pass(2_000);
    const [, [, tookMs] = []] = discovery.applied;
    assert.ok(tookMs !== undefined && tookMs >= 500 && tookMs <= 2_500, `${tookMs} ms`);
  });

  test("address, port and weight are set on the server that is there", async () => {
    const discovery = await synced({ web: "a" });
    discovery.registry.instances("web", [instance("a", 81, 50)]);
    await discovery.settle();
    assert.deepEqual(sentKinds(discovery), ["set-address n-a, set-weight n-a"]);
    assert.deepEqual(discovery.target.lines(WEB), ["n-a 10.0.0.1:81 50"]);
  });

  test("a new server is there before the one that it replaces leaves", async () => {
    const discovery = await synced({ web: "a b" });
    discovery.registry.instances("web", instances("b c"));
    await discovery.settle();
    assert.deepEqual(sentKinds(discovery), ["add n-c", "remove n-a"]);
  });

  test("a removal that takes its time delays no addition, and the same instance can come back meanwhile", async () => {
    const discovery = await synced({ web: "a b c" });
    discovery.target.holdBack = (changes) => changes.some(({ kind }) => kind === "remove");
    discovery.registry.instances("web", instances("b c"));
    await discovery.settle();
    discovery.registry.instances("web", instances("a b c"));
    await discovery.settle();
    assert.deepEqual(sentKinds(discovery), ["remove n-a", "add n-a::2"]);
    discovery.target.release();
    await discovery.settle();
    discovery.registry.instances("web", instances("a b c d"));
    await discovery.settle();
    assert.deepEqual(sentKinds(discovery).slice(2), ["add n-d"]);
    assert.equal(discovery.state(), "SYNCED");
  });
});

describe("prompt", () => {
  test("the first change goes at once; what comes while it is under way is joined, and the newest wins", async () => {
    const discovery = await synced({ web: "a b" });
    discovery.target.holdBack = (changes) => changes.some(({ name }) => name === "n-c");
    for (const ids of ["a b c", "a b c d", "a b c e", "a b c f"]) {
      discovery.registry.instances("web", instances(ids));
    }
    assert.deepEqual(sentKinds(discovery), ["add n-c"], "no timer and no turn of the event loop in between");
    await discovery.settle();
    discovery.target.release();
    await discovery.settle();
    assert.deepEqual(sentKinds(discovery), ["add n-c", "add n-f"]);
  });
});

describe("steady", () => {
  test("an ordinary deregistration is applied at once", async () => {
    const discovery = await synced({ web: "a b c" });
    discovery.registry.instances("web", instances("a b"));
    await discovery.settle();
    assert.deepEqual(discovery.target.names(WEB), ["n-a", "n-b"]);
    assert.equal(discovery.state(), "SYNCED");
  });

  test("the last server is taken away only after the hold time and a strict read", async () => {
    const discovery = await synced({ web: "a", app: "x", db: "y" });
    discovery.registry.instances("web", []);
    await discovery.pass(HOLD_MS - 100);
    assert.match(discovery.state(), /^STALE: lost at once: 1 of "web"/);
    assert.deepEqual(discovery.target.names(WEB), ["n-a"]);
    assert.deepEqual(discovery.registry.confirmed, []);
    await discovery.pass(200);
    assert.deepEqual(discovery.registry.confirmed, ["web"]);
    assert.deepEqual(discovery.target.names(WEB), []);
    assert.equal(discovery.state(), "SYNCED");
  });

  test("most servers at once are held likewise, and one that returns meanwhile is no loss", async () => {
    const discovery = await synced({ web: "a b c d", app: "x", db: "y" });
    discovery.registry.instances("web", instances("a"));
    await discovery.pass(1_000);
    discovery.registry.instances("web", instances("a b"));
    await discovery.pass(HOLD_MS);
    assert.deepEqual(discovery.target.names(WEB), ["n-a", "n-b"]);
  });

  test("a strict read that lists the servers, or fails, takes nothing away", async () => {
    const discovery = await synced({ web: "a", app: "x", db: "y" });
    let answers = 0;
    discovery.registry.confirmation = async () => {
      if (answers++ === 0) throw new Error("status 500");
      return { instances: instances(answers < 4 ? "a" : ""), doubt: undefined };
    };
    discovery.registry.instances("web", []);
    await discovery.pass(HOLD_MS + 100);
    assert.deepEqual(discovery.target.names(WEB), ["n-a"]);
    assert.match(discovery.sources.get("sources/s").status?.lastError ?? "", /status 500/);
    await discovery.pass(10_000);
    assert.equal(answers, 4);
    assert.deepEqual(discovery.target.names(WEB), [], "the fourth confirmed it");
  });

  test("a strict read without a leader leaves the servers for good", async () => {
    const discovery = await synced({ web: "a", app: "x", db: "y" });
    discovery.registry.confirmation = async () => ({ instances: [], doubt: "the cluster has no leader" });
    discovery.registry.instances("web", []);
    await discovery.pass(10 * HOLD_MS);
    assert.deepEqual(discovery.target.names(WEB), ["n-a"]);
    assert.match(discovery.state(), /^STALE: the cluster has no leader/);
  });

  test("a registry that starts afresh takes nothing away; additions are made; the instances' return ends it", async () => {
    const discovery = await synced({ web: "a b", app: "x" });
    discovery.registry.fail(undefined, "connection refused");
    assert.equal(discovery.state(), "RETRYING: connection refused");
    discovery.registry.doubt("the index went back from 812 to 14");
    list(discovery, {});
    await discovery.pass(10 * HOLD_MS);
    assert.match(discovery.state(), /^STALE: the index went back from 812 to 14; 3 servers stay/);
    list(discovery, { web: "a c" });
    await discovery.settle();
    assert.deepEqual(discovery.target.names(WEB), ["n-a", "n-b", "n-c"]);
    list(discovery, { web: "a b c", app: "x" });
    await discovery.settle();
    assert.equal(discovery.state(), "SYNCED");
    discovery.registry.instances("web", instances("a b"));
    await discovery.settle();
    assert.deepEqual(discovery.target.names(WEB), ["n-a", "n-b"]);
  });

  test("an instance that returns under another name at the same address is no loss", async () => {
    const discovery = await synced({ web: "a", app: "x" });
    discovery.registry.doubt("the index went back from 9 to 4");
    const [x] = instances("x");
    discovery.registry.list({ web: instances("a"), app: [instance("y", x?.port)] });
    await discovery.settle();
    assert.deepEqual(discovery.target.names(backendOf("app")), ["n-y"]);
    assert.equal(discovery.state(), "SYNCED");
  });

  test("more than 50 % of all services gone together takes nothing away", async () => {
    const discovery = await synced({ web: "a", app: "x", db: "y" });
    list(discovery, { db: "y" });
    await discovery.pass(10 * HOLD_MS);
    assert.deepEqual(discovery.target.names(WEB), ["n-a"]);
    assert.match(discovery.state(), /^STALE: more than 50 % of all services/);
  });

  test("the only service, gone when the registry comes back after an outage, keeps its servers for good", async () => {
    const discovery = await synced({ web: "a b" });
    discovery.registry.fail(undefined);
    discovery.registry.fail("web");
    list(discovery, {});
    await discovery.pass(10 * HOLD_MS);
    assert.deepEqual(discovery.target.names(WEB), ["n-a", "n-b"]);
    assert.match(discovery.state(), /^STALE: more than 50 % of all services/);
  });

  test("a service that is gone leaves its backend behind, empty after the hold time, and can come back", async () => {
    const discovery = await synced({ web: "a", app: "x", db: "y" });
    list(discovery, { app: "x", db: "y" });
    await discovery.pass(HOLD_MS + 100);
    assert.deepEqual(discovery.target.names(WEB), []);
    assert.ok(discovery.target.backends.has(WEB));
    assert.equal(discovery.sources.get("sources/s").status?.services, 2);
    list(discovery, { app: "x", db: "y", web: "b" });
    await discovery.settle();
    assert.deepEqual(discovery.target.names(WEB), ["n-b"]);
  });

  test("failures of any kind change no server", async () => {
    const discovery = await synced({ web: "a", app: "x" });
    for (const service of [undefined, "web", "app"]) discovery.registry.fail(service);
    await discovery.pass(10 * HOLD_MS);
    assert.deepEqual(discovery.target.sent, []);
    discovery.registry.instances("web", instances("a"));
    assert.match(discovery.state(), /^RETRYING/);
    list(discovery, { web: "a", app: "x" });
    assert.equal(discovery.state(), "SYNCED");
    assert.deepEqual(discovery.states, ["STARTING", "SYNCED", "RETRYING", "SYNCED"]);
  });
});

describe("restart", () => {
  test("goes on from where it was: nothing is sent, and the registry learns what index it must not go below", async () => {
    const before = await synced({ web: "a b", app: "x" });
    const index = before.sources.get("sources/s").status?.index ?? 0n;
    const discovery = await before.restart();
    assert.equal(before.registry.watches, 1, "the first watch has ended");
    const resumed = discovery.registry.resumed[1] ?? 0n;
    assert.ok(resumed > 100n && resumed <= index);
    assert.equal(discovery.state(), "STARTING");
    list(discovery, { web: "a b", app: "x" });
    await discovery.pass(50);
    assert.deepEqual(discovery.target.sent, []);
    assert.equal(discovery.state(), "SYNCED");
  });

  test("what was deregistered meanwhile goes; what vanished altogether is held", async () => {
    const before = await synced({ web: "a b c", app: "x", db: "y" });
    const discovery = await before.restart();
    list(discovery, { web: "b c", db: "y" });
    await discovery.settle();
    assert.deepEqual(discovery.target.names(WEB), ["n-b", "n-c"]);
    assert.deepEqual(discovery.target.names(backendOf("app")), ["n-x"]);
    await discovery.pass(HOLD_MS + 100);
    assert.deepEqual(discovery.target.names(backendOf("app")), []);
  });

  test("a doubt outlives it", async () => {
    const before = await synced({ web: "a", app: "x", db: "y", mq: "z" });
    before.registry.doubt("the index went back from 9 to 4");
    list(before, { web: "a", app: "x", db: "y" });
    const discovery = await before.restart();
    list(discovery, { web: "a", app: "x", db: "y" });
    await discovery.pass(10 * HOLD_MS);
    assert.deepEqual(discovery.target.names(backendOf("mq")), ["n-z"]);
    assert.match(discovery.state(), /^STALE: the index went back from 9 to 4/);
  });

  test("a memory that cannot be read is no memory", async () => {
    const before = await synced({ web: "a" });
    await before.sources.stop();
    const stored = before.store.kept.get("sources/s");
    assert.ok(stored !== undefined);
    before.store.kept.set("sources/s", { ...stored, memory: Buffer.from("{") });
    const discovery = await startDiscovery(before);
    list(discovery, { web: "a b" });
    await discovery.settle();
    assert.deepEqual(discovery.target.names(WEB), ["n-a", "n-b"]);
  });
});

describe("what the target does not take", () => {
  test("is shown, tried again after a while, and ends", async () => {
    const discovery = await synced({ web: "a" });
    discovery.target.refuse = (change) => (change.name === "n-b" ? "no such thing" : undefined);
    discovery.registry.instances("web", instances("a b"));
    await discovery.settle();
    assert.equal(discovery.state(), `REJECTED: ${WEB}: no such thing`);
    await discovery.pass(10_000);
    const tries = discovery.target.sent.length;
    assert.ok(tries >= 3 && tries <= 6, `${tries} tries in 10 s`);
    discovery.target.refuse = () => undefined;
    await discovery.pass(20_000);
    assert.deepEqual(discovery.target.names(WEB), ["n-a", "n-b"]);
    assert.equal(discovery.state(), "SYNCED");
  });

  test("is tried again with the next change", async () => {
    const discovery = await synced({ web: "a" });
    discovery.target.refuse = ({ name }) => (name === "n-b" ? "no" : undefined);
    discovery.registry.instances("web", instances("a b"));
    await discovery.settle();
    discovery.target.refuse = () => undefined;
    discovery.registry.instances("web", instances("a b c"));
    await discovery.settle();
    assert.deepEqual(discovery.target.names(WEB), ["n-a", "n-b", "n-c"]);
    assert.equal(discovery.state(), "SYNCED");
  });

  test("is not tried more often because more changes came", async () => {
    const discovery = await synced({ web: "a" });
    discovery.target.refuse = ({ name }) => (name === "n-b" ? "no" : undefined);
    for (const ids of ["a b", "a b c", "a b d", "a b e"]) {
      discovery.registry.instances("web", instances(ids));
      await discovery.settle();
    }
    const before = discovery.target.sent.length;
    await discovery.pass(10_000);
    assert.ok(
      discovery.target.sent.length - before <= 3,
      `${discovery.target.sent.length - before} tries in 10 s`,
    );
  });

  test("does not fail what was to be created with it", async () => {
    const discovery = await startDiscovery();
    await discovery.createSource();
    discovery.target.refuse = ({ name }) => (name === WEB ? "no" : undefined);
    list(discovery, { web: "a", app: "x" });
    await discovery.pass(5_000);
    assert.deepEqual(discovery.target.names(backendOf("app")), ["n-x"]);
    assert.match(discovery.state(), /^REJECTED/);
    discovery.target.refuse = () => undefined;
    await discovery.pass(60_000);
    assert.deepEqual(discovery.target.names(WEB), ["n-a"]);
    assert.equal(discovery.state(), "SYNCED");
  });

  test("a removal that fails at last is made again, even if its service is gone", async () => {
    const discovery = await synced({ web: "a", app: "x", db: "y" });
    const { target } = discovery;
    list(discovery, { app: "x", db: "y" });
    const servers = target.backends.get(WEB) ?? [];
    const change = target.changeServers.bind(target);
    target.changeServers = async (backend, changes) => {
      target.changeServers = change;
      target.holdBack = () => true;
      await target.changeServers(backend, changes);
      target.holdBack = () => false;
      target.backends.set(backend, servers);
      return changes.map(() => ({ ok: false, error: new DomainError("HAPROXY_REFUSED", "in use") }));
    };
    await discovery.pass(HOLD_MS + 1_000);
    assert.deepEqual(target.names(WEB), []);
    target.release();
    await discovery.settle();
    assert.equal(discovery.state(), `REJECTED: ${WEB}: in use`);
    await discovery.pass(2_000);
    assert.deepEqual(target.names(WEB), []);
    assert.equal(discovery.state(), "SYNCED");
  });

  test("a change that is taken and has no effect is not repeated in a loop", async () => {
    const discovery = await synced({ web: "a" });
    discovery.target.changeServers = async (backend, changes) => {
      discovery.target.sent.push({ kind: "change", backend, changes });
      return changes.map(() => ({ ok: true }));
    };
    discovery.registry.instances("web", instances("a b"));
    await discovery.settle();
    assert.equal(discovery.target.sent.length, 1);
    assert.match(discovery.state(), /does not show/);
  });
});

test("a hand edit of a managed backend is mended, and other people's servers in it are left alone", async () => {
  const discovery = await synced({ web: "a" });
  discovery.target.editByHand(WEB, [{ name: "mine", address: "10.9.9.9", port: 80, weight: 1, id: 0 }]);
  await discovery.settle();
  assert.deepEqual(discovery.target.names(WEB), ["mine", "n-a"]);
});

test("stop ends everything: nothing is sent any more, whatever was under way", async () => {
  const discovery = await synced({ web: "a" });
  list(discovery, { web: "a", app: "x" });
  await discovery.sources.stop();
  await discovery.pass(60_000);
  assert.deepEqual(discovery.target.sent, [], "the new backend was not yet created");
  assert.equal(discovery.registry.watches, 0);
  assert.equal(discovery.clock.pending, 0, "no timer is left");
  assert.equal(discovery.target.subscribers, 0);
});
