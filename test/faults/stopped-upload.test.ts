import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { startHaplane, type TestHaplane } from "../support/haplane.ts";
import { preamble } from "../support/preamble.ts";
import { waitFor } from "../support/wait.ts";

let haplane: TestHaplane;
before(async () => {
  haplane = await startHaplane((statsSocket) => `${preamble(statsSocket)}backend site\n`);
});
after(() => haplane.stop());

const files = () => readdirSync(join(haplane.dir, "general"));

function enveloped(message: object): Buffer {
  const bytes = Buffer.from(JSON.stringify(message));
  const head = Buffer.alloc(5);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

/** Begins an upload and leaves it in the middle; resolves when its connection is gone. */
function beginUpload(): Promise<void> {
  const state = join(haplane.dir, "state");
  const token = readFileSync(join(state, "admin.token"), "utf8").trim();
  const sent = request({
    ...{ socketPath: join(state, "connect.sock"), method: "POST", path: "/haplane.v1.Storage/UploadFile" },
    headers: { "content-type": "application/connect+json", authorization: `Bearer ${token}` },
  });
  const gone = new Promise<void>((resolve) => {
    sent.on("error", () => {});
    sent.on("response", (response) => response.resume().on("error", () => {}));
    sent.on("close", resolve);
  });
  sent.write(enveloped({ header: { kind: "FILE_KIND_GENERAL", storageName: "half.lua" } }));
  sent.write(enveloped({ data: Buffer.alloc(100_000, "a").toString("base64") }));
  return gone;
}

for (const [how, end] of [
  ["stopped", () => haplane.restart()],
  ["killed", () => haplane.crash()],
] as const)
  test(`haplane ${how} in the middle of an upload leaves nothing half, and starts again`, async () => {
    const gone = beginUpload();
    await waitFor("the upload to be staged", () => files().length > 0);
    await end();
    await gone;
    assert.deepEqual(files(), []);
    const { files: listed = [] } = await haplane.call<{ files?: object[] }>("haplane.v1.Storage/ListFiles", {
      parent: "files/general",
    });
    assert.deepEqual(listed, []);
  });
