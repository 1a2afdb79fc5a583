import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { Comparison, type StickTableEntry, TlsFileKind } from "../../../gen/haplane/v1/runtime_pb.js";
import { createAuthority } from "../../support/certificates.ts";
import { failureOf } from "../../support/configuration-client.ts";
import { freePort } from "../../support/ports.ts";
import { runtimeWorld, STACKS } from "../../support/runtime-world.ts";
import { waitFor } from "../../support/wait.ts";

const dir = mkdtempSync(join(tmpdir(), "haplane-loaded-"));
after(() => rmSync(dir, { recursive: true, force: true }));
const path = (name: string) => join(dir, name);
const [plain, tcp] = [await freePort(), await freePort()];

/** Takes connections and says nothing. */
const silent = createServer((socket) => socket.on("error", () => {})).listen(0, "127.0.0.1");
await once(silent, "listening");
after(() => silent.close());

const world = runtimeWorld(async () => {
  const authority = createAuthority();
  const { certificate, key } = authority.issue(["site.example"]);
  writeFileSync(path("site.pem"), certificate + key, { mode: 0o600 });
  writeFileSync(path("ca.pem"), authority.certificate);
  writeFileSync(path("list.txt"), `${path("site.pem")} [alpn h2] site.example\n`);
  writeFileSync(path("to.map"), "/a one\n/b two words\n/c three\n");
  writeFileSync(path("from.lst"), "10.0.0.0/8\n");
  return `frontend web
  bind 127.0.0.1:${plain}
  bind 127.0.0.1:${await freePort()} ssl crt-list ${path("list.txt")} ca-file ${path("ca.pem")} verify optional
  http-request track-sc0 path table paths
  http-request deny if { src -f ${path("from.lst")} }
  http-request return status 200 content-type text/plain lf-string "%[path,map(${path("to.map")},none)]"
frontend stream
  mode tcp
  bind 127.0.0.1:${tcp}
  default_backend silent
backend silent
  mode tcp
  server one 127.0.0.1:${(silent.address() as AddressInfo).port}
backend paths
  stick-table type string len 64 size 10k expire 1h store gpc0,http_req_rate(1m)
resolvers dns
  nameserver n1 127.0.0.1:${await freePort()}
`;
});

for (const stack of STACKS) {
  describe(`what is loaded and going on, over ${stack}`, { timeout: 60_000 }, () => {
    test("sessions are listed, seen in full and ended", async () => {
      const client = world.client(stack);
      const socket = connect(tcp, "127.0.0.1").on("error", () => {});
      await once(socket, "connect");
      const find = async () => (await client.listSessions({ frontend: "stream" })).sessions;
      await waitFor("the session", async () => (await find())[0]?.server === "one");
      const [session] = await find();
      assert.deepEqual([session?.protocol, session?.backend, session?.server], ["tcpv4", "silent", "one"]);
      const full = await client.getSession({ id: session?.id ?? "" });
      assert.deepEqual([full.session?.source, full.session?.frontend], [session?.source, "stream"]);
      assert.ok((full.session?.text.split("\n").length ?? 0) > 5);
      const closed = once(socket, "close");
      socket.resume();
      await client.shutdownSession({ id: session?.id ?? "" });
      await closed;
      assert.deepEqual(await find(), []);
      assert.equal((await failureOf(client.getSession({ id: "0x1" }))).code, "NotFound");
      assert.equal((await failureOf(client.shutdownSession({ id: "0x1" }))).code, "NotFound");
      for (const id of ["", "all", "0x1 all", "0x1;show info"])
        assert.deepEqual((await failureOf(client.getSession({ id }))).fields, ["id"]);
    });

    test("invalid requests are shown", async () => {
      const client = world.client(stack);
      const socket = connect(plain, "127.0.0.1").on("error", () => {});
      socket.write("GET / HTTP/1.1\r\nBad Header: x\r\n\r\n");
      socket.resume();
      await once(socket, "close");
      const { errors } = await client.listErrors({ proxy: "web" });
      assert.deepEqual([errors.length, errors[0]?.response, errors[0]?.backend], [1, false, ""]);
      assert.match(errors[0]?.capture ?? "", /Bad Header: x/);
      assert.deepEqual((await client.listErrors({ proxy: "stream" })).errors, []);
    });

    test("stick tables are listed, set, filtered and cleared", async () => {
      const client = world.client(stack);
      const key = "/a b;c=\\d";
      await client.setStickTableEntry({ table: "paths", key, data: { gpc0: 5n } });
      for (let n = 0; n < 5; n += 1)
        await client.setStickTableEntry({ table: "paths", key: `/${n}`, data: { gpc0: BigInt(n) } });
      const { tables } = await client.listStickTables({});
      assert.deepEqual(
        tables.map(({ name, type, size }) => [name, type, size]),
        [["paths", "string", 10_240n]],
      );
      const list = async (request: Parameters<typeof client.listStickTableEntries>[0]) => {
        const entries: StickTableEntry[] = [];
        for await (const message of client.listStickTableEntries(request)) entries.push(...message.entries);
        return entries;
      };
      const [entry] = await list({ table: "paths", key });
      assert.equal(entry?.key, key);
      assert.deepEqual(entry.data[0]?.value, { case: "number", value: 5n });
      assert.equal(entry.data[1]?.period?.seconds, 60n);
      const filters = [
        { type: "gpc0", comparison: Comparison.GE, value: 2n },
        { type: "gpc0", comparison: Comparison.LT, value: 5n },
      ];
      assert.deepEqual((await list({ table: "paths", filters })).map((one) => one.key).sort(), [
        "/2",
        "/3",
        "/4",
      ]);
      assert.equal((await list({ table: "paths", limit: 2n })).length, 2);
      await client.clearStickTable({ table: "paths", filters });
      await client.clearStickTable({ table: "paths", key });
      assert.deepEqual(
        (await list({ table: "paths" }))
          .map((one) => one.key)
          .filter((one) => /^\/\d/.test(one))
          .sort(),
        ["/0", "/1"],
      );
      await client.clearStickTable({ table: "paths", all: true });
      assert.deepEqual(await list({ table: "paths" }), []);
      assert.equal(
        (await failureOf(list({ table: "paths", filters: [{ type: "gpc0" }] }))).fields[0],
        "filters[0].comparison",
      );
      assert.equal((await failureOf(client.clearStickTable({ table: "paths" }))).fields[0], "all");
      assert.equal((await failureOf(client.clearStickTable({ table: "no", all: true }))).code, "NotFound");
      assert.equal((await failureOf(client.setStickTableEntry({ table: "no", key: "x" }))).code, "NotFound");
    });

    test("maps and ACL files are seen as loaded", async () => {
      const client = world.client(stack);
      const { files } = await client.listPatternFiles({});
      assert.deepEqual(
        files.map((file) => [file.path, file.map]),
        [
          [path("to.map"), true],
          [path("from.lst"), false],
        ],
      );
      const first = await client.listPatternEntries({ path: path("to.map"), pageSize: 2 });
      const second = await client.listPatternEntries({
        path: path("to.map"),
        pageSize: 2,
        pageToken: first.nextPageToken,
      });
      assert.deepEqual(
        [...first.entries, ...second.entries].map(({ key, value }) => [key, value]),
        [
          ["/a", "one"],
          ["/b", "two words"],
          ["/c", "three"],
        ],
      );
      assert.equal((await failureOf(client.listPatternEntries({ path: "/etc/passwd" }))).code, "NotFound");
    });

    test("certificates, authorities and lists are seen as loaded, never a key", async () => {
      const client = world.client(stack);
      const { files } = await client.listTlsFiles({});
      const named = (kind: TlsFileKind) =>
        files.filter((file) => file.kind === kind).map((file) => file.path);
      assert.deepEqual(named(TlsFileKind.CERTIFICATE), [path("site.pem")]);
      assert.ok(named(TlsFileKind.CA_FILE).includes(path("ca.pem")));
      assert.deepEqual(named(TlsFileKind.CRT_LIST), [path("list.txt")]);
      const site = await client.getTlsFile({ kind: TlsFileKind.CERTIFICATE, path: path("site.pem") });
      assert.equal(site.file?.status, "Used");
      assert.match(site.file.certificates[0]?.subject ?? "", /site\.example/);
      assert.ok((site.file.certificates[0]?.notAfter?.seconds ?? 0n) > 0n);
      const list = await client.getTlsFile({ kind: TlsFileKind.CRT_LIST, path: path("list.txt") });
      assert.deepEqual(list.file?.entries[0]?.filters, ["site.example"]);
      const missing = await failureOf(client.getTlsFile({ kind: TlsFileKind.CERTIFICATE, path: "x.pem" }));
      assert.equal(missing.code, "NotFound");
      assert.deepEqual((await client.listOcspResponses({})).responses, []);
      assert.equal((await failureOf(client.getOcspResponse({ id: "00" }))).code, "NotFound");
    });

    test("resolvers, threads and activity are read", async () => {
      const client = world.client(stack);
      const { resolvers } = await client.listResolvers({});
      assert.deepEqual(
        resolvers[0]?.nameservers.map(({ name, counters }) => [name, counters.sent]),
        [["n1", 0n]],
      );
      assert.equal(resolvers[0]?.name, "resolvers/dns");
      const { threads } = await client.listThreads({});
      assert.deepEqual(
        threads.map(({ number }) => number),
        threads.map((_one, at) => at + 1),
      );
      const { counters } = await client.getActivity({});
      assert.ok((counters.find(({ name }) => name === "loops")?.total ?? 0n) > 0n);
    });
  });
}
