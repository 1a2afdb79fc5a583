import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { existsSync, lstatSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { ApplyMode, FileKind } from "../../../gen/haplane/v1/storage_pb.js";
import { failureOf, type Stack } from "../../support/configuration-client.ts";
import { startHaplane, type TestHaplane } from "../../support/haplane.ts";
import { freePort } from "../../support/ports.ts";
import { preamble } from "../../support/preamble.ts";
import {
  downloadOf,
  type StorageClient,
  sha256Of,
  storageClient,
  uploadOf,
} from "../../support/storage-client.ts";
import { waitFor } from "../../support/wait.ts";

const GENERAL = FileKind.GENERAL;

for (const stack of ["grpc-js", "Connect", "Connect JSON"] as const satisfies readonly Stack[]) {
  describe(`files over ${stack}`, () => {
    let haplane: TestHaplane;
    let client: StorageClient;
    let close: () => void;
    const inDirectory = () => readdirSync(join(haplane.dir, "general"));

    before(async () => {
      const port = await freePort();
      haplane = await startHaplane(
        (statsSocket) => `${preamble(statsSocket)}frontend www
  bind 127.0.0.1:${port}
  http-request return status 200
`,
      );
      ({ client, close } = storageClient(haplane, stack));
    });
    after(async () => {
      close?.();
      await haplane?.stop();
    });

    test("an upload is whole, named for the configuration, and comes back", async () => {
      const data = randomBytes(3_000_001);
      const { file, applied } = await client.uploadFile(
        uploadOf({ kind: GENERAL, storageName: "big.bin", size: 3_000_001n }, data),
      );
      const path = join(haplane.dir, "general", "big.bin");
      assert.equal(file?.name, "files/general/big.bin");
      assert.equal(file.storageName, "big.bin");
      assert.equal(file.path, path);
      assert.equal(file.description, "managed general use file");
      assert.equal(file.sha256, sha256Of(data));
      assert.equal(file.size, 3_000_001n);
      assert.deepEqual(applied?.reasons, ["nothing names the file"]);
      assert.ok(readFileSync(path).equals(data));
      assert.equal(statSync(path).mode & 0o777, 0o640);

      const { header, bytes } = await downloadOf(client, { name: file.name });
      assert.ok(bytes.equals(data));
      assert.equal(header.sha256, file.sha256);
      const rest = await downloadOf(client, { name: file.name, offset: 2_999_990n, etag: header.file!.etag });
      assert.ok(rest.bytes.equals(data.subarray(2_999_990)));
      const stale = await failureOf(downloadOf(client, { name: file.name, etag: "other" }));
      assert.equal(stale.reason, "ETAG_MISMATCH");
    });

    test("nothing is stored when size or checksum differ, or the stream breaks off", async () => {
      const data = Buffer.from("content");
      const before = inDirectory();
      const uploads: (readonly [Parameters<typeof uploadOf>[0], string])[] = [
        [{ kind: GENERAL, storageName: "x", size: 6n }, "FIELD_INVALID"],
        [{ kind: GENERAL, storageName: "x", size: 8n }, "FIELD_INVALID"],
        [{ kind: GENERAL, storageName: "x", sha256: sha256Of("other") }, "FIELD_INVALID"],
        [{ kind: GENERAL, storageName: "x", sha256: "" }, "FIELD_INVALID"],
        [{ kind: GENERAL, storageName: "../x" }, "FIELD_INVALID"],
        [{ kind: FileKind.UNSPECIFIED, storageName: "x" }, "FIELD_INVALID"],
        [{ kind: GENERAL, storageName: "x", etag: "0".repeat(32) }, "RESOURCE_NOT_FOUND"],
      ];
      for (const [header, reason] of uploads) {
        const failure = await failureOf(client.uploadFile(uploadOf(header, data)));
        assert.equal(failure.reason, reason, JSON.stringify({ ...header, size: String(header.size) }));
      }
      const given = new AbortController();
      const broken = client.uploadFile(
        (async function* () {
          yield { part: { case: "header" as const, value: { kind: GENERAL, storageName: "x" } } };
          yield { part: { case: "data" as const, value: data } };
          await waitFor("the upload to have begun", async () => inDirectory().length > before.length);
          given.abort();
          await new Promise(() => {});
        })(),
        { signal: given.signal },
      );
      await assert.rejects(broken);
      await waitFor("nothing to be left", async () => inDirectory().length === before.length);
      assert.deepEqual(inDirectory(), before);
    });

    test("PutFile guards by etag and create_only, and a second time changes nothing", async () => {
      const put = (text: string, more: object = {}) =>
        client.putFile({ kind: GENERAL, storageName: "p.lua", data: Buffer.from(text), ...more });
      const { file } = await put("a", { createOnly: true });
      const there = await failureOf(put("b", { createOnly: true }));
      assert.deepEqual([there.reason, there.resource], ["RESOURCE_EXISTS", "files/general/p.lua"]);
      const stale = await failureOf(put("b", { etag: "other" }));
      assert.deepEqual([stale.reason, stale.resource], ["ETAG_MISMATCH", "files/general/p.lua"]);
      const missing = await failureOf(put("b", { storageName: "q.lua", etag: "other" }));
      assert.deepEqual([missing.reason, missing.resource], ["RESOURCE_NOT_FOUND", "files/general/q.lua"]);
      const clash = await failureOf(put("b", { storageName: "P.lua" }));
      assert.deepEqual([clash.reason, clash.resource], ["RESOURCE_EXISTS", "files/general/p.lua"]);
      assert.equal((await failureOf(put("b", { sha256: sha256Of("a") }))).reason, "FIELD_INVALID");
      const { file: second } = await put("b", { etag: file!.etag, sha256: sha256Of("b") });
      assert.notEqual(second!.etag, file!.etag);
      assert.equal((await put("b", { apply: ApplyMode.NO_RELOAD })).file!.etag, second!.etag);
      assert.equal((await client.getFile({ name: "files/general/p.lua" })).file!.sha256, sha256Of("b"));
    });

    test("what is no regular file is not found by who reads, and not replaced", async () => {
      const link = join(haplane.dir, "general", "link");
      symlinkSync("/etc/hostname", link);
      const name = "files/general/link";
      for (const read of [
        client.getFile({ name }),
        downloadOf(client, { name }),
        client.deleteFile({ name }),
      ]) {
        const failure = await failureOf(read);
        assert.deepEqual([failure.reason, failure.resource], ["RESOURCE_NOT_FOUND", name]);
      }
      const put = client.putFile({ kind: GENERAL, storageName: "link", data: Buffer.from("x") });
      assert.equal((await failureOf(put)).reason, "RESOURCE_EXISTS");
      assert.ok(lstatSync(link).isSymbolicLink());
      rmSync(link);
    });

    test("a write that comes again with its id gets the first answer, and is not made again", async () => {
      const ids = Object.fromEntries(
        ["upload", "put", "add", "delete"].map((what) => [what, `${stack} ${what}`]),
      );
      const data = Buffer.from("a b\n");
      const header = { kind: FileKind.MAP, storageName: "again.map", requestId: ids.upload! };
      const noSum = client.uploadFile(uploadOf(header, data));
      assert.deepEqual((await failureOf(noSum)).fields, ["header.request_id"]);
      const upload = () => client.uploadFile(uploadOf({ ...header, sha256: sha256Of(data) }, data));
      const first = await upload();
      const parent = "files/maps/again.map";
      const add = () => client.addMapEntry({ parent, entry: { key: "c", value: "d" }, requestId: ids.add! });
      const added = await add();
      assert.equal(added.applied!.replayed, false);
      for (const [retried, before] of [
        [await add(), added],
        [await upload(), first],
      ] as const) {
        assert.equal(retried.applied!.replayed, true);
        assert.equal(retried.file!.etag, before.file!.etag);
      }
      assert.equal((await client.getFile({ name: parent })).file!.etag, added.file!.etag);
      const put = { kind: FileKind.MAP, storageName: "again.map", data, requestId: ids.put! };
      await client.putFile(put);
      const other = client.putFile({ ...put, data: Buffer.from("x y\n") });
      assert.deepEqual((await failureOf(other)).fields, ["request_id"]);
      const remove = () => client.deleteFile({ name: parent, requestId: ids.delete! });
      assert.equal((await remove()).applied!.replayed, false);
      assert.equal((await remove()).applied!.replayed, true);
      assert.equal((await failureOf(client.deleteFile({ name: parent }))).reason, "RESOURCE_NOT_FOUND");
    });

    test("lists are paged, and what is deleted is gone", async () => {
      for (const name of ["l1", "l2", "l3"]) await client.putFile({ kind: GENERAL, storageName: name });
      const names: string[] = [];
      let pageToken = "";
      do {
        const page = await client.listFiles({ parent: "files/general", pageSize: 2, pageToken });
        names.push(...page.files.map(({ storageName }) => storageName));
        pageToken = page.nextPageToken;
      } while (pageToken !== "");
      assert.deepEqual(names, [...names].sort());
      assert.ok(["l1", "l2", "l3"].every((name) => names.includes(name)));
      assert.ok((await client.listFiles({ parent: "files/-" })).files.length >= names.length);
      await client.deleteFile({ name: "files/general/l2" });
      assert.ok(!existsSync(join(haplane.dir, "general", "l2")));
      assert.equal(
        (await failureOf(client.deleteFile({ name: "files/general/l2" }))).reason,
        "RESOURCE_NOT_FOUND",
      );
      await client.deleteFile({ name: "files/general/l2", allowMissing: true });
      for (const name of ["files/general/..%2Fx", "files/general/%2Fetc%2Fpasswd", "files/other/x", "x"])
        assert.equal((await failureOf(client.getFile({ name }))).reason, "FIELD_INVALID", name);
    });
  });
}
