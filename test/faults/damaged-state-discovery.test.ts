import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, describe, test } from "node:test";
import { startConsul, type TestConsul } from "../support/consul.ts";
import { startHaplane, type TestHaplane } from "../support/haplane.ts";
import { preamble } from "../support/preamble.ts";
import { waitFor } from "../support/wait.ts";

describe("discovery after the state database was damaged", () => {
  let consul: TestConsul;
  let haplane: TestHaplane;
  const database = () => join(haplane.dir, "state", "haplane.db");

  before(async () => {
    consul = await startConsul();
    haplane = await startHaplane(preamble);
    for (const [index, id] of ["a", "b"].entries())
      await consul.register({ id, service: "web", port: 18_001 + index, weight: 5 });
    await createSource();
    await untilServers("a", "b");
    // While it starts anew for the reload, the master answers nobody.
    await waitFor("the end of the reload", () => haplane.worker());
  });
  after(async () => {
    await haplane?.stop();
    await consul?.stop();
  });

  const createSource = () =>
    haplane.call("haplane.v1.ServiceDiscovery/CreateSource", {
      sourceId: "local",
      source: {
        consul: { address: "127.0.0.1", port: consul.port },
        ...{ backendName: "{service}", retryTimeout: "0.2s" },
      },
    });
  const listSources = async () =>
    (
      await haplane.call<{ sources?: { name: string; retryTimeout: string }[] }>(
        "haplane.v1.ServiceDiscovery/ListSources",
      )
    ).sources ?? [];

  /** `name address:port weight`, in the order of their names, as HAProxy has them. */
  const running = async () =>
    (await haplane.ask("show servers state web"))
      .split("\n")
      .slice(2)
      .filter((line) => line !== "")
      .map((line) => line.split(" "))
      .map((columns) => `${columns[3]} ${columns[4]}:${columns[18]} ${columns[7]}`)
      .sort();
  const untilServers = (...ids: string[]) =>
    waitFor(`the servers ${ids}, in HAProxy and in the file`, async () => {
      const names = (await running()).map((line) => line.split(" ")[0]);
      const file = readFileSync(haplane.config, "utf8");
      assert.deepEqual(
        names,
        ids.map((id) => `test-${id}`),
      );
      return ids.every((id) => file.includes(`server test-${id} `));
    });

  /** Overwrites the pages of a table and its indexes while haplane does not run. */
  async function damage(...tables: string[]): Promise<void> {
    const db = new DatabaseSync(database());
    // What the log has would heal it.
    db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    const { page_size } = db.prepare("PRAGMA page_size").get() as { page_size: number };
    const roots = tables.flatMap((table) =>
      db.prepare("SELECT rootpage FROM sqlite_schema WHERE tbl_name = ? AND rootpage > 0").all(table),
    ) as { rootpage: number }[];
    db.close();
    assert.ok(roots.length >= tables.length);
    const file = await open(database(), "r+");
    for (const { rootpage } of roots)
      await file.write(Buffer.alloc(page_size, 0xa5), 0, page_size, (rootpage - 1) * page_size);
    await file.close();
  }

  /** Damages these tables in a haplane that is killed, and starts it again; what it logs of it. */
  async function startDamaged(...tables: string[]): Promise<{ sources: number; path: string; msg: string }> {
    const logged = haplane.log().length;
    await haplane.crash(() => damage(...tables));
    const lines = haplane
      .log()
      .slice(logged)
      .split("\n")
      .filter((line) => line.includes("the state database was damaged"));
    assert.equal(lines.length, 1);
    return JSON.parse(lines[0] as string);
  }

  test("a source that can still be read is followed on: nothing changes for HAProxy, and what happens in Consul arrives", async () => {
    const [worker, servers, file] = [
      await haplane.worker(),
      await running(),
      readFileSync(haplane.config, "utf8"),
    ];
    const sources = await listSources();
    const said = await startDamaged("revisions", "revision_files", "events");
    assert.equal(said.sources, 1);
    assert.match(said.msg, /with the sources that could still be read/);
    assert.deepEqual(await running(), servers);
    assert.deepEqual(
      (await listSources()).map(({ name, retryTimeout }) => ({ name, retryTimeout })),
      sources.map(({ name, retryTimeout }) => ({ name, retryTimeout })),
    );
    assert.equal(readFileSync(haplane.config, "utf8"), file);
    await consul.register({ id: "c", service: "web", port: 18_003 });
    await consul.deregister("a");
    await untilServers("b", "c");
    assert.deepEqual(await haplane.worker(), worker, "without a reload");
  });

  test("a source that cannot be read is told as lost: its servers stay, and are followed on when it is created anew", async () => {
    const [worker, servers] = [await haplane.worker(), await running()];
    assert.equal((await startDamaged("sources", "events")).sources, 0);
    assert.deepEqual(await listSources(), []);
    assert.deepEqual(await running(), servers);
    await createSource();
    await consul.register({ id: "d", service: "web", port: 18_004 });
    await consul.deregister("b");
    await untilServers("c", "d");
    assert.deepEqual(await haplane.worker(), worker, "without a reload");
  });
});
