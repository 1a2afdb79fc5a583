import assert from "node:assert/strict";
import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { type Event, EventKind, Events, EventType } from "../../../gen/haplane/v1/events_pb.js";
import type { SpoeApplyRequestSchema } from "../../../gen/haplane/v1/spoe_pb.js";
import { adminTransport, failureOf } from "../../support/configuration-client.ts";
import { startHaplane, type TestHaplane } from "../../support/haplane.ts";
import { freePort } from "../../support/ports.ts";
import { preamble } from "../../support/preamble.ts";
import { type SpoeClient, spoeClient, spoeDownload, spoeUpload } from "../../support/spoe-client.ts";

const port = await freePort();
let haplane: TestHaplane;
let client: SpoeClient;
let close: () => void;

before(async () => {
  haplane = await startHaplane(
    (statsSocket) => `${preamble(statsSocket)}\nfrontend web\n    bind 127.0.0.1:${port}\n`,
  );
  ({ client, close } = spoeClient(haplane, "grpc-js"));
});
after(async () => {
  close();
  await haplane.stop();
});

const at = (name: string) => join(haplane.dir, "spoe", name);
const upload = (storageName: string, text: string, header = {}) =>
  client.uploadFile(spoeUpload({ storageName, ...header }, text));
const FIRST = "[one]\nspoe-message m\n    args src\n";
const SECOND = "[one]\nspoe-message m\n    args dst\n";

test("versions say who, when, why and what, the newest first, page by page", async () => {
  const file = "spoe/history.conf";
  await upload("history.conf", FIRST, { message: "the first of it" });
  const name = `${file}/scopes/one/messages/m`;
  const value = { args: [{ arguments: [{ sample: "dst" }] }] };
  await client.update({ resource: { name, kind: { case: "message", value } } });
  appendFileSync(at("history.conf"), "# by hand\n");
  const { versions } = await client.listVersions({ file });
  assert.deepEqual(
    versions.map(({ number, author, message, removed }) => [number, author, message, removed]),
    [
      [3n, "external", "the file was written by hand", false],
      [2n, "admin", `changes ${name}`, false],
      [1n, "admin", "the first of it", false],
    ],
  );
  assert.deepEqual(versions[1]?.resources, [name]);
  assert.ok(versions[1]!.revision > versions[2]!.revision && versions[2]!.revision > 0n);
  assert.ok(versions.every(({ createTime }) => createTime !== undefined));
  const page = await client.listVersions({ file, pageSize: 2 });
  const next = await client.listVersions({ file, pageSize: 2, pageToken: page.nextPageToken });
  assert.deepEqual(
    [...page.versions, ...next.versions].map(({ number }) => number),
    [3n, 2n, 1n],
  );
  const { version, diff } = await client.getVersion({ name: `${file}/versions/2` });
  assert.equal(version?.name, `${file}/versions/2`);
  assert.match(diff, /^-.*args src\n\+.*args dst$/m);
  const kept = await spoeDownload(client, `${file}/versions/1`);
  assert.deepEqual([kept.text, kept.file?.version], [FIRST, 1n]);
});

test("a file becomes what it was, as a new version, also when it was removed", async () => {
  const file = "spoe/back.conf";
  await upload("back.conf", FIRST);
  await upload("back.conf", SECOND);
  const tried = await client.rollback({ name: `${file}/versions/1`, validateOnly: true });
  assert.match(tried.diff, /\+.*args src/);
  assert.equal(readFileSync(at("back.conf"), "utf8"), SECOND);
  assert.equal((await client.rollback({ name: `${file}/versions/1`, baseVersion: 2n })).version, 3n);
  assert.equal(readFileSync(at("back.conf"), "utf8"), FIRST);
  await client.deleteFile({ name: file });
  const removed = (await client.listVersions({ file })).versions[0];
  assert.deepEqual([removed?.number, removed?.removed], [4n, true]);
  assert.equal((await failureOf(client.getFile({ name: file }))).reason, "RESOURCE_NOT_FOUND");
  assert.equal((await client.rollback({ name: `${file}/versions/2` })).version, 5n);
  assert.equal(readFileSync(at("back.conf"), "utf8"), SECOND);
});

test("what cannot be is refused, and changes nothing", async () => {
  const file = "spoe/none.conf";
  await upload("none.conf", FIRST);
  await client.deleteFile({ name: file });
  const cases: readonly [reason: string, call: () => Promise<unknown>][] = [
    ["RESOURCE_NOT_FOUND", () => client.listVersions({ file: "spoe/never.conf" })],
    ["RESOURCE_NOT_FOUND", () => client.getVersion({ name: `${file}/versions/9` })],
    ["RESOURCE_NOT_FOUND", () => client.rollback({ name: `${file}/versions/9` })],
    ["FIELD_INVALID", () => client.rollback({ name: `${file}/versions/2` })],
    ["FIELD_INVALID", () => client.rollback({ name: `${file}/versions/x` })],
    ["FIELD_INVALID", () => client.rollback({ name: file })],
    ["ETAG_MISMATCH", () => client.rollback({ name: `${file}/versions/1`, baseVersion: 7n })],
    ["FIELD_INVALID", () => client.listVersions({ file, pageSize: -1 })],
  ];
  for (const [reason, call] of cases) assert.equal((await failureOf(call())).reason, reason);
  assert.equal((await client.listVersions({ file })).versions.length, 2);
});

test("an upload, a rollback and a commit that come again get the first answer", async () => {
  const file = "spoe/again.conf";
  const first = await upload("again.conf", FIRST, { requestId: "upload" });
  const again = await upload("again.conf", FIRST, { requestId: "upload" });
  assert.deepEqual(
    [first, again].map(({ file: stored, applied }) => [stored?.version, applied?.replayed]),
    [
      [1n, false],
      [1n, true],
    ],
  );
  const other = await failureOf(upload("again.conf", SECOND, { requestId: "upload" }));
  assert.equal(other.reason, "FIELD_INVALID");
  await upload("again.conf", SECOND);
  const request = { name: `${file}/versions/1`, requestId: "rollback" };
  assert.equal((await client.rollback(request)).version, 3n);
  assert.equal((await client.rollback(request)).version, 3n);
  const { transaction } = await client.beginTransaction({ file });
  const options = { transaction: transaction!.name };
  await client.delete({ name: `${file}/scopes/one/messages/m`, options });
  const commit = { name: transaction!.name, requestId: "commit", message: "no messages" };
  assert.equal((await client.commitTransaction(commit)).version, 4n);
  assert.equal((await client.commitTransaction(commit)).version, 4n);
  assert.equal((await client.listVersions({ file })).versions[0]?.message, "no messages");
});

test("a file is made as desired: what is missing is added, what differs changed, what is not wanted removed", async () => {
  const file = "spoe/wanted.conf";
  const scope = `${file}/scopes/one`;
  await upload(
    "wanted.conf",
    `# of ours\n${FIRST}\nspoe-message gone\n    args src\n\n[two]\nspoe-message x\n`,
  );
  const message = (name: string, sample: string) => ({
    name: `${scope}/messages/${name}`,
    kind: { case: "message" as const, value: { args: [{ arguments: [{ sample }] }] } },
  });
  const request = {
    file,
    desired: [
      { name: scope, kind: { case: "scope" as const, value: {} } },
      message("m", "dst"),
      message("n", "src"),
    ],
    prune: [`${file}/scopes`, `${file}/scopes/-/messages`],
  };
  const tried = await client.apply({ ...request, options: { validateOnly: true } });
  assert.match(tried.diff, /^-.*\[two\]$/m);
  assert.equal(tried.version, 1n);
  const { changes, version } = await client.apply({ ...request, message: "as wanted" });
  assert.equal(version, 2n);
  assert.deepEqual(
    changes.map(({ type, name }) => `${type} ${name.replace(`${file}/scopes/`, "")}`),
    ["3 two", "3 one/messages/gone", "2 one/messages/m", "1 one/messages/n"],
  );
  assert.equal(
    (await spoeDownload(client, file)).text,
    `# of ours\n${SECOND}\nspoe-message n\n    args src\n\n`,
  );
  const same = await client.apply(request);
  assert.deepEqual([same.version, same.changes], [2n, []]);

  const { transaction } = await client.beginTransaction({ file });
  await client.apply({ ...request, desired: [], options: { transaction: transaction!.name } });
  assert.equal((await client.commitTransaction({ name: transaction!.name })).version, 3n);
  assert.equal((await spoeDownload(client, file)).text, "# of ours\n");
});

test("a wish that cannot be is refused with its field", async () => {
  const file = "spoe/wish.conf";
  await upload("wish.conf", FIRST);
  const scope = { name: `${file}/scopes/one`, kind: { case: "scope" as const, value: {} } };
  const cases: readonly [field: string, request: MessageInitShape<typeof SpoeApplyRequestSchema>][] = [
    ["desired[1].name", { desired: [scope, scope] }],
    ["desired[0].name", { desired: [{ ...scope, name: "spoe/other.conf/scopes/one" }] }],
    ["desired[0].name", { desired: [{ ...scope, name: "frontends/web" }] }],
    ["desired[0].kind", { desired: [{ name: `${file}/scopes/new` }] }],
    ["prune[0]", { prune: ["spoe/other.conf/scopes"] }],
    ["prune[0]", { prune: [`${file}/scopes/one`] }],
    ["changes", { prune: [`${file}/scopes`], changes: [{}] }],
  ];
  for (const [field, request] of cases) {
    const failure = await failureOf(client.apply({ ...request, file } as typeof request));
    assert.deepEqual([failure.reason, failure.fields], ["FIELD_INVALID", [field]], failure.message);
  }
  assert.equal(readFileSync(at("wish.conf"), "utf8"), FIRST);
});

test("a watch begins with the files as they are, and goes on with what becomes of them", async () => {
  await upload("watched.conf", FIRST);
  const { transport, close: end } = adminTransport(haplane, "grpc-js");
  const stopped = new AbortController();
  try {
    const request = {
      kinds: [EventKind.FILE],
      resourcePrefixes: ["spoe/watched.conf"],
      includeCurrent: true,
    };
    const seen: Event[] = [];
    let changed = false;
    for await (const { events } of createClient(Events, transport).watch(request, stopped)) {
      seen.push(...events);
      if (seen.length === 3) break;
      if (seen.length === 0 || changed) continue;
      changed = true;
      await upload("watched.conf", SECOND);
      await client.deleteFile({ name: "spoe/watched.conf" });
    }
    assert.deepEqual(
      seen.map(({ type, payload }) => [type, payload.case === "file" && Number(payload.value.version)]),
      [
        [EventType.CURRENT, 1],
        [EventType.UPDATED, 2],
        [EventType.REMOVED, 3],
      ],
    );
    assert.deepEqual(seen[1]?.payload.case === "file" && seen[1].payload.value.resources, [
      "spoe/watched.conf/scopes/one/messages/m",
    ]);
    assert.ok(seen[1]!.revision > 0n && seen[1]?.author === "admin");
  } finally {
    stopped.abort();
    end();
  }
});
