import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { Applied_Via } from "../../../gen/haplane/v1/configuration_pb.js";
import { ApplyMode, FileKind } from "../../../gen/haplane/v1/storage_pb.js";
import {
  type ConfigurationClient,
  configurationClient,
  failureOf,
} from "../../support/configuration-client.ts";
import { startHaplane, type TestHaplane } from "../../support/haplane.ts";
import { freePort } from "../../support/ports.ts";
import { preamble } from "../../support/preamble.ts";
import { type StorageClient, storageClient, uploadOf } from "../../support/storage-client.ts";

const ROUTES = "files/maps/routes.map";

describe("maps", () => {
  let haplane: TestHaplane;
  let client: StorageClient;
  let configuration: ConfigurationClient;
  let closing: (() => void)[];
  let port: number;
  const path = (name: string) => join(haplane.dir, "maps", name);
  const put = (storageName: string, text: string, more: object = {}) =>
    client.putFile({ kind: FileKind.MAP, storageName, data: Buffer.from(text), ...more });
  const backendOf = async (of: string) =>
    (await fetch(`http://127.0.0.1:${port}${of}`, { headers: { connection: "close" } })).headers.get(
      "x-backend",
    );
  /** What HAProxy has, in its order. */
  const loaded = async (name: string) =>
    (await haplane.ask(`show map ${path(name)}`))
      .split("\n")
      .map((line) => line.slice(line.indexOf(" ") + 1).trimEnd());

  before(async () => {
    port = await freePort();
    const backend = (name: string) =>
      `backend ${name}\n  http-request return status 200 hdr x-backend ${name}\n`;
    haplane = await startHaplane(
      (statsSocket) => `${preamble(statsSocket)}frontend www
  bind 127.0.0.1:${port}
  default_backend none
${backend("none")}${backend("shop")}${backend("blog")}${backend("news")}`,
    );
    const storage = storageClient(haplane, "grpc-js");
    const config = configurationClient(haplane, "grpc-js");
    [client, configuration] = [storage.client, config.client];
    closing = [storage.close, config.close];

    const { file } = await client.uploadFile(
      uploadOf({ kind: FileKind.MAP, storageName: "routes.map" }, Buffer.from("# prefixes\n/shop shop\n")),
    );
    assert.equal(file!.description, "managed but not loaded map file (no runtime ID)");
    const rule = { backend: `%[path,map_beg(${file!.path},none)]` };
    await configuration.update({
      resource: { name: "frontends/www", kind: { case: "frontend", value: { useBackendRules: [rule] } } },
    });
  });
  after(async () => {
    for (const close of closing ?? []) close();
    await haplane?.stop();
  });
  beforeEach(async () => {
    await put("routes.map", "# prefixes\n/shop shop\n/blog  blog # not a comment\n/empty\n");
    await put("routes.map", "# prefixes\n/shop shop\n");
  });

  test("one that a rule uses routes requests, and is told with its runtime id and referrers", async () => {
    assert.equal(await backendOf("/shop/1"), "shop");
    assert.equal(await backendOf("/blog/1"), "none");
    const { file } = await client.getFile({ name: ROUTES });
    assert.equal(file!.description, "managed map file");
    assert.match(file!.runtime!.description, /pattern loaded from file/);
    assert.deepEqual(
      file!.referrers.map(({ directive, resource }) => ({ directive, resource })),
      [{ directive: "use_backend", resource: "frontends/www" }],
    );
    assert.equal((await failureOf(client.deleteFile({ name: ROUTES }))).reason, "RESOURCE_IN_USE");
  });

  test("live: entries at the end, and values, go by single commands; order by another version", async () => {
    const { reloads } = await haplane.worker();
    const added = await put("routes.map", "# prefixes\n/shop blog\n/blog blog\n");
    assert.equal(added.applied!.via, Applied_Via.RUNTIME);
    assert.match(added.applied!.runtimeCommands[0]!, /^# 2 commands: set, del and add map/);
    assert.deepEqual([await backendOf("/shop/1"), await backendOf("/blog/1")], ["blog", "blog"]);

    const many = Array.from({ length: 1_000 }, (_, index) => `/n${index} news`);
    const first = await put("routes.map", `${many.join("\n")}\n/shop shop\n`);
    assert.match(first.applied!.runtimeCommands[0]!, /prepare, add and commit map/);
    assert.deepEqual(await loaded("routes.map"), [...many, "/shop shop"]);
    assert.equal(await backendOf("/n999"), "news");
    assert.equal((await haplane.worker()).reloads, reloads);
  });

  test("what no command can say takes one reload, and says so", async () => {
    const { reloads } = await haplane.worker();
    const { applied } = await put("routes.map", "/shop shop\n/nothing\n");
    assert.equal(applied!.via, Applied_Via.RELOAD);
    assert.match(applied!.reasons[0]!, /takes a reload/);
    assert.equal((await haplane.worker()).reloads, reloads + 1);
    assert.deepEqual(await loaded("routes.map"), ["/shop shop", "/nothing"]);
    const again = await put("routes.map", "/shop news\n/nothing\n");
    assert.equal(again.applied!.via, Applied_Via.RUNTIME);
  });

  test("refused: what HAProxy would read otherwise than it is written", async () => {
    for (const data of ["a\0b c\n", `${"x".repeat(17_000)} y\n`])
      assert.equal((await failureOf(put("routes.map", data))).reason, "FIELD_INVALID");
    assert.equal(readFileSync(path("routes.map"), "utf8"), "# prefixes\n/shop shop\n");
  });

  test("an empty file is fine", async () => {
    const { applied } = await put("routes.map", "");
    assert.equal(applied!.via, Applied_Via.RUNTIME);
    assert.equal(await backendOf("/shop/1"), "none");
  });

  test("entries are added, set and removed in file and HAProxy together", async () => {
    const add = await client.addMapEntry({ parent: ROUTES, entry: { key: "/blog", value: "blog" } });
    assert.equal(add.applied!.via, Applied_Via.RUNTIME);
    assert.equal(await backendOf("/blog/1"), "blog");
    assert.equal(readFileSync(path("routes.map"), "utf8"), "# prefixes\n/shop shop\n/blog blog\n");
    await client.setMapEntry({
      parent: ROUTES,
      entry: { key: "/shop", value: "news" },
      etag: add.file!.etag,
    });
    assert.equal(await backendOf("/shop/1"), "news");
    await client.deleteMapEntry({ parent: ROUTES, key: "/blog" });
    assert.equal(await backendOf("/blog/1"), "none");
    assert.equal(readFileSync(path("routes.map"), "utf8"), "# prefixes\n/shop news\n");
    assert.deepEqual(await loaded("routes.map"), ["/shop news"]);

    for (const [call, reason] of [
      [() => client.addMapEntry({ parent: ROUTES, entry: { key: "/shop", value: "x" } }), "RESOURCE_EXISTS"],
      [() => client.setMapEntry({ parent: ROUTES, entry: { key: "/x", value: "x" } }), "RESOURCE_NOT_FOUND"],
      [() => client.deleteMapEntry({ parent: ROUTES, key: "/x" }), "RESOURCE_NOT_FOUND"],
      [() => client.deleteMapEntry({ parent: ROUTES, key: "/shop", etag: add.file!.etag }), "ETAG_MISMATCH"],
      [() => client.addMapEntry({ parent: ROUTES, entry: { key: "a b", value: "x" } }), "FIELD_INVALID"],
      [
        () => client.addMapEntry({ parent: ROUTES, entry: { key: "a", value: "x\nshow info" } }),
        "FIELD_INVALID",
      ],
      [() => client.addMapEntry({ parent: "files/general/x", entry: { key: "a" } }), "FIELD_INVALID"],
      [() => client.addMapEntry({ parent: "files/maps/none", entry: { key: "a" } }), "RESOURCE_NOT_FOUND"],
    ] as const)
      assert.equal((await failureOf(call())).reason, reason);
    await client.setMapEntry({
      parent: ROUTES,
      entry: { key: "/x", value: "a  b;c <<" },
      allowMissing: true,
    });
    assert.deepEqual(await loaded("routes.map"), ["/shop news", "/x a  b;c <<"]);
  });

  test("of many writers at once none is lost", async () => {
    const keys = Array.from({ length: 20 }, (_, index) => `/k${index}`);
    await Promise.all(
      keys.map((key) => client.addMapEntry({ parent: ROUTES, entry: { key, value: "news" } })),
    );
    const { entries } = await client.listMapEntries({ parent: ROUTES, keyPrefix: "/k" });
    assert.deepEqual(entries.map(({ key }) => key).sort(), [...keys].sort());
    assert.equal((await loaded("routes.map")).length, 21);
  });

  test("all entries are replaced from a stream, and listed in pages and by filters", async () => {
    const { applied } = await client.replaceMapEntries(
      (async function* () {
        yield { part: { case: "header" as const, value: { parent: ROUTES } } };
        for (let batch = 0; batch < 10; batch++) {
          const entries = Array.from({ length: 100 }, (_, index) => ({
            key: `/${batch}/${index}`,
            value: "blog",
          }));
          yield { part: { case: "entries" as const, value: { entries } } };
        }
      })(),
    );
    assert.equal(applied!.via, Applied_Via.RUNTIME);
    assert.equal((await loaded("routes.map")).length, 1_000);
    const keys: string[] = [];
    let pageToken = "";
    do {
      const page = await client.listMapEntries({ parent: ROUTES, pageSize: 300, pageToken });
      keys.push(...page.entries.map(({ key }) => key));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    assert.equal(new Set(keys).size, 1_000);
    const filtered = await client.listMapEntries({ parent: ROUTES, keyPrefix: "/9/", contains: "9/1" });
    assert.equal(filtered.entries.length, 11);
    await haplane.ask(`set map ${path("routes.map")} /0/0 news`);
    const live = await client.listMapEntries({ parent: ROUTES, key: "/0/0", runtime: true });
    assert.deepEqual(
      live.entries.map(({ value }) => value),
      ["news"],
    );
  });

  test("a file that was edited by hand is what the next write is made on", async () => {
    writeFileSync(path("routes.map"), "# by hand\n/blog blog\n");
    await client.addMapEntry({ parent: ROUTES, entry: { key: "/news", value: "news" } });
    assert.equal(readFileSync(path("routes.map"), "utf8"), "# by hand\n/blog blog\n/news news\n");
    assert.deepEqual(await loaded("routes.map"), ["/blog blog", "/news news"]);
  });

  test("removed by force it is told what HAProxy keeps; with a reload it is put back when HAProxy refuses", async () => {
    const before = readFileSync(path("routes.map"), "utf8");
    const withReload = client.deleteFile({ name: ROUTES, force: true, apply: ApplyMode.FORCE_RELOAD });
    assert.equal((await failureOf(withReload)).reason, "CONFIGURATION_REFUSED");
    assert.equal(readFileSync(path("routes.map"), "utf8"), before);
    const { applied } = await client.deleteFile({ name: ROUTES, force: true });
    assert.equal(applied!.via, Applied_Via.NONE);
    assert.match(applied!.reasons.join(), /until its next reload/);
    assert.throws(() => readFileSync(path("routes.map")), /ENOENT/);
    assert.equal(await backendOf("/shop/1"), "shop");
    // Named by nothing, and not loaded: nothing is to be forgotten.
    await put("unused.map", "a b\n");
    const unused = await client.deleteFile({ name: "files/maps/unused.map" });
    assert.deepEqual(unused.applied!.reasons, ["HAProxy has not loaded it"]);
  });
});
