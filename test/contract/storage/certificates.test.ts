import assert from "node:assert/strict";
import { createPrivateKey, randomBytes } from "node:crypto";
import { once } from "node:events";
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { connect } from "node:tls";
import { createClient } from "@connectrpc/connect";
import { Applied_Via } from "../../../gen/haplane/v1/configuration_pb.js";
import { type Event, EventKind, Events, EventType } from "../../../gen/haplane/v1/events_pb.js";
import { ApplyMode, FileKind } from "../../../gen/haplane/v1/storage_pb.js";
import { createAuthority, type Issued } from "../../support/certificates.ts";
import {
  adminTransport,
  type ConfigurationClient,
  configurationClient,
  failureOf,
} from "../../support/configuration-client.ts";
import { handshake, keepConnecting } from "../../support/handshake.ts";
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

const KIND = FileKind.CERTIFICATE;
const authority = createAuthority();
const bundle = ({ certificate, key }: Issued) => Buffer.from(certificate + key + authority.certificate);

describe("certificates", () => {
  let haplane: TestHaplane;
  let client: StorageClient;
  let configuration: ConfigurationClient;
  let closing: (() => void)[];
  let port: number;
  const directory = () => join(haplane.dir, "ssl-certs");
  const put = (storageName: string, data: Buffer | string, more: object = {}) =>
    client.putFile({ kind: KIND, storageName, data: Buffer.from(data), ...more });

  before(async () => {
    const plain = await freePort();
    port = await freePort();
    haplane = await startHaplane(
      (statsSocket) => `${preamble(statsSocket)}frontend www
  bind 127.0.0.1:${plain}
  http-request return status 200
`,
    );
    const storage = storageClient(haplane, "grpc-js");
    const config = configurationClient(haplane, "grpc-js");
    client = storage.client;
    configuration = config.client;
    closing = [storage.close, config.close];
  });
  after(async () => {
    for (const close of closing ?? []) close();
    await haplane?.stop();
  });

  test("an uploaded certificate is put into a bind by the path of the answer, and served", async () => {
    const issued = authority.issue(["site.test", "www.site.test"]);
    const { file } = await client.uploadFile(
      uploadOf({ kind: KIND, storageName: "site.pem" }, bundle(issued)),
    );
    assert.equal(file!.description, "managed SSL file");
    assert.equal(statSync(file!.path).mode & 0o777, 0o600);
    const [leaf, chain] = file!.certificates;
    assert.deepEqual(
      {
        subject: leaf!.subject,
        issuer: leaf!.issuer,
        names: leaf!.subjectAlternativeNames,
        key: leaf!.keyType,
      },
      {
        subject: "CN=site.test",
        issuer: "CN=Test CA",
        names: ["DNS:site.test", "DNS:www.site.test"],
        key: "EC prime256v1",
      },
    );
    assert.equal(leaf!.sha256Fingerprint, issued.fingerprint256.replaceAll(":", "").toLowerCase());
    assert.equal(chain!.subject, "CN=Test CA");

    const address = `127.0.0.1:${port}`;
    await configuration.create({
      resource: {
        name: "frontends/tls",
        kind: {
          case: "frontend",
          value: { binds: [{ addresses: [address], ssl: true, crt: [file!.path] }] },
        },
      },
    });
    const served = await handshake({ port, servername: "site.test", ca: authority.certificate });
    assert.equal(served.fingerprint256, issued.fingerprint256);

    const { file: now } = await client.getFile({ name: file!.name });
    assert.deepEqual(
      now!.referrers.map(({ directive, resource }) => ({ directive, resource })),
      [{ directive: "bind", resource: "frontends/tls" }],
    );
    const [line] = now!.referrers.map((referrer) => referrer.line);
    assert.match(readFileSync(haplane.config, "utf8").split("\n")[line! - 1]!, /^\s*bind .*site\.pem/);
    const inUse = await failureOf(client.deleteFile({ name: file!.name }));
    assert.deepEqual(
      [inUse.code, inUse.reason, inUse.fields],
      ["FailedPrecondition", "RESOURCE_IN_USE", ["frontends/tls"]],
    );
  });

  test("live: replaced 100 times under a client that keeps connecting, no handshake fails", async (t) => {
    const { reloads } = await haplane.worker();
    const target = { port, servername: "site.test", ca: authority.certificate };
    const connecting = keepConnecting(target);
    t.after(() => connecting.stop());
    for (let round = 0; round < 100; round++) {
      const issued = authority.issue(["site.test"]);
      const { applied } = await put("site.pem", bundle(issued));
      assert.equal(applied!.via, Applied_Via.RUNTIME);
      assert.equal((await handshake(target)).fingerprint256, issued.fingerprint256);
    }
    const { count, failures } = await connecting.stop();
    assert.deepEqual(failures, []);
    assert.ok(count > 10, `${count} handshakes`);

    // A connection that was there before goes on under the certificate that it began with.
    const open = connect({ ...target, host: "127.0.0.1" });
    await once(open, "secureConnect");
    await put("site.pem", bundle(authority.issue(["site.test"])));
    open.write("GET / HTTP/1.1\r\nhost: site.test\r\n\r\n");
    const [response] = (await once(open, "data")) as [Buffer];
    assert.match(String(response), /^HTTP\/1\.1 503 /);
    open.destroy();
    assert.equal((await haplane.worker()).reloads, reloads);
  });

  test("a failed write leaves file, HAProxy and directory as they were", async () => {
    const target = { port, servername: "site.test", ca: authority.certificate };
    const before = await handshake(target);
    const content = readFileSync(join(directory(), "site.pem"));
    const [issued, other] = [authority.issue(["site.test"]), authority.issue(["site.test"])];
    const expired = authority.issue(["site.test"], {
      notBefore: new Date(Date.now() - 20 * 86_400_000),
      notAfter: new Date(Date.now() - 86_400_000),
    });
    const foreign = createAuthority("Other CA");
    const broken: Record<string, string | Buffer> = {
      "wrong key": issued.certificate + other.key,
      expired: expired.certificate + expired.key,
      empty: "",
      blank: "\n\n",
      truncated: bundle(issued).subarray(0, 400),
      "key cut short": issued.certificate + issued.key.slice(0, 60),
      "no key": issued.certificate,
      "no certificate": issued.key,
      "two keys": issued.certificate + issued.key + other.key,
      "wrong chain": issued.certificate + issued.key + foreign.certificate,
      "chain first": authority.certificate + issued.certificate + issued.key,
      garbage: randomBytes(10_000),
      "damaged certificate":
        issued.certificate.replace(/\n[A-Za-z0-9+/]{20}/, "\nAAAAAAAAAAAAAAAAAAAA") + issued.key,
    };
    for (const [what, data] of Object.entries(broken)) {
      const failure = await failureOf(put("site.pem", data));
      assert.equal(failure.reason, "FIELD_INVALID", what);
      const [, body = ""] = issued.key.split("\n");
      assert.ok(!failure.message.includes(body), what);
    }
    assert.equal((await handshake(target)).fingerprint256, before.fingerprint256);
    assert.ok(readFileSync(join(directory(), "site.pem")).equals(content));
    assert.deepEqual(
      readdirSync(directory()).filter((name) => name.startsWith(".")),
      [],
    );
  });

  test("100 MB of garbage ends early and leaves nothing", async () => {
    const piece = Buffer.alloc(1_000_000, 65);
    let sent = 0;
    const failure = await failureOf(
      client.uploadFile(
        (async function* () {
          yield { part: { case: "header" as const, value: { kind: KIND, storageName: "garbage.pem" } } };
          for (; sent < 100; sent++) yield { part: { case: "data" as const, value: piece } };
        })(),
      ),
    );
    assert.equal(failure.reason, "LIMIT_EXCEEDED");
    assert.ok(sent < 100);
    assert.deepEqual(
      readdirSync(directory()).filter((name) => /garbage|^\./.test(name)),
      [],
    );
  });

  test("secret: the key is in no answer, download or log", async () => {
    const issued = authority.issue(["secret.test"]);
    const [, keyBody = ""] = issued.key.split("\n");
    const answers = [
      await put("secret.pem", bundle(issued)),
      await client.getFile({ name: "files/certificates/secret.pem" }),
      await client.listFiles({ parent: "files/certificates" }),
    ];
    const text = JSON.stringify(answers, (_, value) => (typeof value === "bigint" ? String(value) : value));
    assert.ok(!text.includes(keyBody) && !text.includes("PRIVATE KEY"));
    const { header, bytes } = await downloadOf(client, { name: "files/certificates/secret.pem" });
    assert.equal(String(bytes), issued.certificate + authority.certificate);
    assert.deepEqual([header.redacted, header.sha256], [true, sha256Of(bytes)]);

    await put("alone.key", issued.key);
    assert.equal(String((await downloadOf(client, { name: "files/certificates/alone.key" })).bytes), "");
    assert.ok(!haplane.log().includes(keyBody) && !haplane.log().includes("PRIVATE KEY"));
  });

  test("secret: nothing comes back of a key in another form, nor from among authorities", async () => {
    const { key } = authority.issue(["other.test"]);
    const der = createPrivateKey(key).export({ type: "pkcs8", format: "der" });
    const ca = authority.certificate + key;
    for (const [path, content] of [
      ["der.key", der],
      ["wide.pem", Buffer.from(key, "utf16le")],
      ["ca/signing.pem", ca],
    ] as const)
      writeFileSync(join(directory(), path), content);
    const shown = async (name: string) => {
      const { header, bytes } = await downloadOf(client, { name });
      return [header.redacted, String(bytes)];
    };
    assert.deepEqual(await shown("files/certificates/der.key"), [true, ""]);
    assert.deepEqual(await shown("files/certificates/wide.pem"), [true, ""]);
    assert.deepEqual(await shown("files/ca/signing.pem"), [true, authority.certificate]);
    const stored = client.putFile({ kind: FileKind.CA, storageName: "ca.pem", data: Buffer.from(ca) });
    assert.equal((await failureOf(stored)).reason, "FIELD_INVALID");
    assert.equal((await failureOf(put("site.pem.issuer", ca))).reason, "FIELD_INVALID");
    for (const path of ["der.key", "wide.pem", "ca/signing.pem"]) rmSync(join(directory(), path));
  });

  test("a key beside its certificate counts, and has to belong to it", async () => {
    const [issued, other] = [authority.issue(["split.test"]), authority.issue(["split.test"])];
    assert.equal((await failureOf(put("split.crt", issued.certificate))).reason, "FIELD_INVALID");
    await put("split.key", issued.key);
    await put("split.crt", issued.certificate);
    assert.equal((await failureOf(put("split.crt", other.certificate))).reason, "FIELD_INVALID");
  });

  test("no reload and forced reload are the caller's choice", async () => {
    const { reloads } = await haplane.worker();
    const issued = authority.issue(["site.test"]);
    const { applied } = await put("site.pem", bundle(issued), { apply: ApplyMode.FORCE_RELOAD });
    assert.equal(applied!.via, Applied_Via.RELOAD);
    assert.deepEqual(applied!.reasons, ["it was asked for"]);
    assert.equal((await haplane.worker()).reloads, reloads + 1);
    const served = await handshake({ port, servername: "site.test", ca: authority.certificate });
    assert.equal(served.fingerprint256, issued.fingerprint256);
  });

  test("a change of a file is an event, that its certificate ends soon is another, and its end a metric", async (t) => {
    const issued = authority.issue(["event.test"], { notAfter: new Date(Date.now() + 86_400_000) });
    const { transport, close } = adminTransport(haplane, "Connect");
    t.after(close);
    const given = new AbortController();
    const watch = createClient(Events, transport).watch(
      { kinds: [EventKind.FILE], resourcePrefixes: ["files/certificates/event.pem"] },
      { signal: given.signal },
    );
    const seen: Event[] = [];
    for await (const { events } of watch) {
      if (events.length === 0 && seen.length === 0) await put("event.pem", bundle(issued));
      seen.push(...events);
      if (seen.length > 1) break;
    }
    given.abort();
    const [event, ending] = seen;
    assert.equal(ending!.payload.case === "file" && ending!.payload.value.expiring, true);
    assert.deepEqual(
      [event!.resource, event!.type, event!.author],
      ["files/certificates/event.pem", EventType.ADDED, "admin"],
    );
    assert.equal(event!.payload.case, "file");
    const { certificates } = (await client.getFile({ name: event!.resource })).file!;
    assert.deepEqual(event!.payload.value!.notAfter, certificates[0]!.notAfter);
    const end = Number(certificates[0]!.notAfter!.seconds);
    assert.match(
      await haplane.metrics(),
      new RegExp(`haplane_certificate_not_after_seconds\\{file="event.pem"\\} ${end}`),
    );
  });

  test("one that is too long for a command takes a reload, and says so", async () => {
    const names = Array.from({ length: 400 }, (_, index) => `name-${index}.of-a-long-list.site.test`);
    const issued = authority.issue(["site.test", ...names]);
    const { applied } = await put("site.pem", bundle(issued));
    assert.equal(applied!.via, Applied_Via.RELOAD);
    assert.match(applied!.reasons[0]!, /takes a reload: .*in one piece/);
    const served = await handshake({ port, servername: "site.test", ca: authority.certificate });
    assert.equal(served.fingerprint256, issued.fingerprint256);
    const next = authority.issue(["site.test", ...names]);
    const later = await put("site.pem", bundle(next), { apply: ApplyMode.NO_RELOAD });
    assert.equal(later.applied!.via, Applied_Via.NONE);
    assert.match(later.applied!.reasons.join(), /from its next reload/);
    assert.equal(
      (await handshake({ port, servername: "site.test", ca: authority.certificate })).fingerprint256,
      issued.fingerprint256,
    );
  });
});
