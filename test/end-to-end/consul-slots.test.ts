import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { startConsul, type TestConsul } from "../support/consul.ts";
import { startHaplane, type TestHaplane } from "../support/haplane.ts";
import { judgingHaproxys } from "../support/judging-haproxys.ts";
import { freePort } from "../support/ports.ts";
import { type App, startApp, startTraffic } from "../support/traffic.ts";
import { waitFor } from "../support/wait.ts";

/** A static algorithm, to which HAProxy adds no servers while it runs. */
const configuration = (port: number, backend: string) => (statsSocket: string) =>
  `global
    stats socket "${statsSocket}" mode 600 level admin expose-fd listeners
defaults
    mode http
    balance static-rr
    retries 0
    timeout connect 3s
    timeout client 1m
    timeout server 1m
frontend main
    bind 127.0.0.1:${port}
    use_backend %[str(${backend})]
`;

for (const { name: version, binary } of judgingHaproxys)
  describe(`slots in a backend to which ${version} adds no servers`, () => {
    const backend = "web";
    const apps = new Map<string, App>();
    let consul: TestConsul;
    let haplane: TestHaplane;
    let port = 0;

    before(async () => {
      consul = await startConsul();
      port = await freePort();
      haplane = await startHaplane(configuration(port, backend), [`--haproxy=${binary}`]);
      await haplane.call("haplane.v1.ServiceDiscovery/CreateSource", {
        sourceId: "slots",
        source: {
          consul: { address: "127.0.0.1", port: consul.port },
          backendName: "{service}",
          slots: { base: 3, growth: "SLOT_GROWTH_EXPONENTIAL" },
          acceptLossAfter: "0s",
        },
      });
    });
    after(async () => {
      await haplane?.stop();
      await consul?.stop();
      for (const app of apps.values()) await app.stop();
    });

    /** Its slots: name, port, and whether it takes traffic (HAProxy goes on to remember in the administrative state that a line said `disabled`). */
    const slots = async () =>
      (await haplane.ask(`show servers state ${backend}`))
        .split("\n")
        .slice(2)
        .filter((line) => line !== "")
        .map((line) => {
          const columns = line.split(" ");
          return { name: columns[3], port: Number(columns[18]), isUsed: columns[5] === "2" };
        });
    const used = async () => (await slots()).filter(({ isUsed }) => isUsed).map((slot) => slot.port);
    const worker = () => waitFor("the master to answer", () => haplane.worker().catch(() => undefined));
    const file = () => readFileSync(haplane.config, "utf8");
    const has = (ports: readonly number[]) =>
      waitFor(`servers ${ports}`, async () => (await used()).sort().join() === [...ports].sort().join());

    async function add(name: string): Promise<number> {
      const app = await startApp(name);
      apps.set(name, app);
      await consul.register({ id: name, service: "web", port: app.port });
      return app.port;
    }

    test("are filled and freed without a reload and without losing a request, grow by one, and outlive a restart and a reload", async (t) => {
      const [a, b] = [await add("a"), await add("b")];
      await has([a, b]);
      assert.equal((await slots()).length, 3);
      const traffic = startTraffic({
        ...{ url: `http://127.0.0.1:${port}/`, keeping: 0, opening: 2 },
        isExpected: (name) => apps.has(name),
      });
      t.after(() => traffic.stop());
      const { reloads } = await worker();

      const c = await add("c");
      await has([a, b, c]);
      await waitFor("traffic at the third", () => (traffic.served.get("c") ?? 0) > 0);
      await consul.deregister("b");
      await has([a, c]);
      assert.equal((await worker()).reloads, reloads, "nothing of that takes a reload");
      await waitFor("the file", () => /server slot::2 127\.0\.0\.1:\d+ id 2 disabled$/m.test(file()));

      const more = [await add("d"), await add("e")];
      await has([a, c, ...more]);
      assert.equal((await slots()).length, 6);
      assert.equal((await worker()).reloads, reloads + 1);

      let f = 0;
      await haplane.crash(async () => {
        f = await add("f");
      });
      await has([a, c, ...more, f]);
      assert.equal((await slots()).length, 6);

      const count = (await worker()).reloads;
      writeFileSync(haplane.config, file().replace(/(server slot::1 .*)/, "$1 maxconn 50"));
      await waitFor("the edit to be adopted", async () => (await worker()).reloads > count);
      await has([a, c, ...more, f]);
      await consul.deregister("a");
      await has([c, ...more, f]);
      await waitFor("the edit to stay", () => /server slot::1 .* maxconn 50 disabled$/m.test(file()));
      await traffic.stop();
      assert.deepEqual(traffic.failures, []);

      const { services } = await haplane.call<{
        services: { service: string; servers: { state: string }[] }[];
      }>("haplane.v1.ServiceDiscovery/ListServices", { parent: "sources/slots" });
      const web = services.find(({ service }) => service === "web");
      assert.deepEqual(
        web?.servers.map(({ state }) => state),
        Array(4).fill("DISCOVERED_SERVER_STATE_LIVE"),
      );
    });

    test("are not used where HAProxy can add servers", async () => {
      await haplane.call("haplane.v1.ServiceDiscovery/CreateSource", {
        sourceId: "plain",
        source: {
          consul: { address: "127.0.0.1", port: consul.port },
          backendName: "own-{service}",
          defaults: "dynamic",
          slots: {},
        },
      });
      writeFileSync(
        haplane.config,
        file().replace(
          /^defaults$/m,
          "defaults dynamic\n    mode http\n    timeout connect 3s\n    timeout client 1m\n    timeout server 1m\ndefaults",
        ),
      );
      await waitFor("a backend of its own servers", () => /server test-c 127/.test(file()));
      const own = (await haplane.ask("show servers state own-web")).split("\n").slice(2);
      assert.ok(own.every((line) => line === "" || line.split(" ")[3]?.startsWith("test-")));
    });
  });
