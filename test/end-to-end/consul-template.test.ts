import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { startConsul, type TestConsul } from "../support/consul.ts";
import { startHaplane, type TestHaplane } from "../support/haplane.ts";
import { waitFor } from "../support/wait.ts";

/** What the starter does not have: a `defaults` section with a name, and one behind it that backends would take otherwise. */
const configuration = (statsSocket: string) => `global
    stats socket "${statsSocket}" mode 600 level admin expose-fd listeners
defaults tuned
    mode http
    timeout connect 3s
    timeout client 1m
    timeout server 1m
defaults
    mode tcp
    timeout connect 3s
    timeout client 1m
    timeout server 1m
`;

describe("backends and servers as a source wants them made", () => {
  let consul: TestConsul;
  let haplane: TestHaplane;

  before(async () => {
    consul = await startConsul();
    haplane = await startHaplane(configuration);
  });
  after(async () => {
    await haplane?.stop();
    await consul?.stop();
  });

  const file = () => readFileSync(haplane.config, "utf8");
  const createSource = (sourceId: string, source: object) =>
    haplane.call("haplane.v1.ServiceDiscovery/CreateSource", {
      sourceId,
      source: { consul: { address: "127.0.0.1", port: consul.port }, ...source },
    });
  /** A master that is being reloaded does not answer for a moment. */
  const reloadCount = async () =>
    (await waitFor("the master to answer", () => haplane.worker().catch(() => undefined))).reloads;
  const servers = async (backend: string) =>
    (await haplane.ask(`show servers state ${backend}`))
      .split("\n")
      .slice(2)
      .map((line) => line.split(" ")[3]);

  test("with checks and limits from the template, at runtime and in the file, and what a hand adds stays", async () => {
    await createSource("plain", {
      backendName: "plain-{service}",
      defaults: "tuned",
      serverTemplate: { check: true, inter: "250ms", maxconn: 7 },
    });
    await consul.register({ id: "a", service: "web", port: 81 });
    await waitFor("the backend", async () => (await servers("plain-web")).includes("test-a"));
    const reloads = await reloadCount();
    await consul.register({ id: "b", service: "web", port: 82 });
    await waitFor("the second server", async () => (await servers("plain-web")).includes("test-b"));
    await waitFor("both in the file", () =>
      ["test-a 127.0.0.1:81", "test-b 127.0.0.1:82"].every((server) =>
        new RegExp(`server ${server} id \\d+ maxconn 7 check inter 250ms`).test(file()),
      ),
    );
    assert.match(file(), /^backend plain-web from tuned$/m);
    assert.equal(await reloadCount(), reloads, "no reload for the second");
    const limits = (await haplane.ask("show stat"))
      .split("\n")
      .filter((line) => line.startsWith("plain-web,test-"));
    assert.deepEqual(
      limits.map((line) => line.split(",")[6]),
      ["7", "7"],
    );

    writeFileSync(haplane.config, file().replace(/(server test-a .*)/, "$1 slowstart 30s"));
    await waitFor("the edit to be adopted", async () => (await reloadCount()) > reloads);
    await consul.register({ id: "a", service: "web", port: 91, weight: 9 });
    await waitFor("the new address in the file", () => file().includes("127.0.0.1:91"));
    assert.match(file(), /server test-a 127\.0\.0\.1:91 .*slowstart 30s weight 9/);
  });

  test("a parameter that HAProxy does not take at runtime costs a reload, and works", async () => {
    await createSource("reloaded", {
      backendName: "reloaded-{service}",
      serverTemplate: { resolvePrefer: "ADDRESS_FAMILY_IPV4" },
    });
    await waitFor("the backend", async () => (await servers("reloaded-web")).length >= 2);
    const reloads = await reloadCount();
    await consul.register({ id: "c", service: "web", port: 83 });
    await waitFor("the third server", async () => (await servers("reloaded-web")).includes("test-c"));
    assert.match(file(), /server test-c 127\.0\.0\.1:83 id \d+ resolve-prefer ipv4/);
    assert.ok((await reloadCount()) > reloads);
  });

  test("a defaults section that is not there is refused and told, and nothing else waits for it", async () => {
    await createSource("wrong", { backendName: "wrong-{service}", defaults: "nowhere" });
    await waitFor("the source to be rejected", async () => {
      const { source } = await haplane.call<{ source: { status: { state: string; reason: string } } }>(
        "haplane.v1.ServiceDiscovery/GetSource",
        { name: "sources/wrong" },
      );
      return source.status.state === "SOURCE_STATE_REJECTED" && /nowhere/.test(source.status.reason);
    });
    await consul.register({ id: "d", service: "web", port: 84 });
    await waitFor("the others to go on", async () => (await servers("plain-web")).includes("test-d"));
  });
});
