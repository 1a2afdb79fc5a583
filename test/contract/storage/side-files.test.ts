import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import { connect } from "node:tls";
import { Applied_Via } from "../../../gen/haplane/v1/configuration_pb.js";
import { FileKind } from "../../../gen/haplane/v1/storage_pb.js";
import { createAuthority } from "../../support/certificates.ts";
import { configurationClient, failureOf } from "../../support/configuration-client.ts";
import { handshake } from "../../support/handshake.ts";
import { startHaplane, type TestHaplane } from "../../support/haplane.ts";
import { freePort } from "../../support/ports.ts";
import { preamble } from "../../support/preamble.ts";
import { type StorageClient, storageClient } from "../../support/storage-client.ts";

const authority = createAuthority();

describe("files beside a certificate", () => {
  const first = authority.issue(["site.test"]);
  let haplane: TestHaplane;
  let client: StorageClient;
  let closing: (() => void)[];
  let port: number;
  const put = (storageName: string, data: Buffer | string) =>
    client.putFile({ kind: FileKind.CERTIFICATE, storageName, data: Buffer.from(data) });
  const stapled = async (): Promise<Buffer | undefined> => {
    const socket = connect({ port, servername: "site.test", ca: authority.certificate, requestOCSP: true });
    try {
      const [response] = (await once(socket, "OCSPResponse")) as [Buffer | null];
      return response ?? undefined;
    } finally {
      socket.destroy();
    }
  };

  before(async () => {
    port = await freePort();
    haplane = await startHaplane((statsSocket) => `${preamble(statsSocket)}backend none\n`);
    const storage = storageClient(haplane, "grpc-js");
    const configuration = configurationClient(haplane, "grpc-js");
    client = storage.client;
    closing = [storage.close, configuration.close];
    await put("site.pem.key", first.key);
    const { file } = await put("site.pem", first.certificate + authority.certificate);
    const bind = { addresses: [`127.0.0.1:${port}`], ssl: true, crt: [file!.path] };
    await configuration.client.create({
      resource: { name: "frontends/tls", kind: { case: "frontend", value: { binds: [bind] } } },
    });
  });
  after(async () => {
    for (const close of closing ?? []) close();
    await haplane?.stop();
  });

  test("a certificate and a key in a file of its own are one certificate, renewed with the same key without a reload", async () => {
    const served = () => handshake({ port, servername: "site.test", ca: authority.certificate });
    assert.equal((await served()).fingerprint256, first.fingerprint256);
    const { file } = await client.getFile({ name: "files/certificates/site.pem.key" });
    assert.deepEqual(
      file!.referrers.map(({ directive }) => directive),
      ["bind"],
    );
    const withChain = await put("site.pem", first.certificate);
    assert.equal(withChain.applied!.via, Applied_Via.RUNTIME);
    assert.equal((await served()).fingerprint256, first.fingerprint256);
  });

  test("a key that does not fit the certificate beside it is refused: HAProxy would not start with it", async () => {
    const other = authority.issue(["site.test"]);
    assert.equal((await failureOf(put("site.pem.key", other.key))).reason, "FIELD_INVALID");
    const both = await put("site.pem", other.certificate + other.key + authority.certificate);
    assert.equal(both.applied!.via, Applied_Via.RUNTIME);
    const served = await handshake({ port, servername: "site.test", ca: authority.certificate });
    assert.equal(served.fingerprint256, other.fingerprint256);
    await put("site.pem", first.certificate + authority.certificate);
  });

  test("an OCSP response is stapled without a reload, and by the next reload too", async () => {
    assert.equal(await stapled(), undefined);
    const { reloads } = await haplane.worker();
    const responses = [authority.vouch(first), authority.vouch(first)];
    for (const response of responses) {
      const { applied } = await put("site.pem.ocsp", response);
      assert.equal(applied!.via, Applied_Via.RUNTIME, applied!.reasons.join());
      assert.ok((await stapled())?.equals(response));
    }
    assert.equal((await haplane.worker()).reloads, reloads);
    await haplane.call("haplane.v1.Runtime/Reload");
    assert.ok((await stapled())?.equals(responses[1]!));
  });

  test("an issuer goes live as well, signed timestamps by one reload with its reason", async () => {
    const { reloads } = await haplane.worker();
    const issuer = await put("site.pem.issuer", authority.certificate);
    assert.equal(issuer.applied!.via, Applied_Via.RUNTIME, issuer.applied!.reasons.join());
    const timestamp = Buffer.alloc(50, 7);
    const list = Buffer.concat([Buffer.of(0, 52, 0, 50), timestamp]);
    const sctl = await put("site.pem.sctl", list);
    assert.equal(sctl.applied!.via, Applied_Via.RELOAD);
    assert.match(sctl.applied!.reasons.join(), /signed timestamps/);
    assert.equal((await haplane.worker()).reloads, reloads + 1);
    const served = await handshake({ port, servername: "site.test", ca: authority.certificate });
    assert.equal(served.fingerprint256, first.fingerprint256);
  });

  test("what is none of these is refused", async () => {
    for (const [name, content] of [
      ["site.pem.ocsp", "no DER"],
      ["site.pem.ocsp", Buffer.of(0x30, 3, 0x0a, 1, 1)],
      ["site.pem.sctl", Buffer.of(0, 9, 0, 1, 1)],
      ["site.pem.issuer", "no certificate"],
      ["site.pem.key", first.certificate],
    ] as const)
      assert.equal((await failureOf(put(name, content))).reason, "FIELD_INVALID", name);
  });
});
