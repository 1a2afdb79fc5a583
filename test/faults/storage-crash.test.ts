import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { FileKind } from "../../gen/haplane/v1/storage_pb.js";
import { startHaplane } from "../support/haplane.ts";
import { freePort } from "../support/ports.ts";
import { preamble } from "../support/preamble.ts";
import { storageClient } from "../support/storage-client.ts";
import { waitFor } from "../support/wait.ts";

const ROUNDS = 3;

/** A script that answers with its own version. */
const script = (version: number) => `core.register_service("version", "http", function(applet)
  applet:set_status(200)
  applet:start_response()
  applet:send("${version}")
end)
`;

test("killed while a file that takes a reload is replaced: HAProxy runs what the file holds, and nothing is left beside it", async (t) => {
  const port = await freePort();
  let path = "";
  const haplane = await startHaplane((statsSocket) => {
    path = join(dirname(statsSocket), "general", "version.lua");
    mkdirSync(dirname(path));
    writeFileSync(path, script(0));
    const [global, ...rest] = preamble(statsSocket).split("\n");
    return `${[global, `  lua-load ${path}`, ...rest].join("\n")}frontend www
  bind 127.0.0.1:${port}
  http-request use-service lua.version
`;
  });
  t.after(() => haplane.stop());
  const served = async () =>
    (await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: "close" } })).text();
  assert.equal(await served(), "0");

  for (let round = 1; round <= ROUNDS; round++) {
    const { client, close } = storageClient(haplane, "grpc-js");
    const data = Buffer.from(script(round));
    const put = client
      .putFile({ kind: FileKind.GENERAL, storageName: "version.lua", data })
      .catch(() => undefined);
    await waitFor("the file to be in place", async () => readFileSync(path).equals(data));
    await haplane.crash();
    close();
    await put;
    const found = readFileSync(path, "utf8");
    const version = /send\("(\d)"\)/.exec(found)?.[1];
    assert.equal(found, script(Number(version)));
    await waitFor("HAProxy to run it", async () => (await served()) === version);
    assert.deepEqual(readdirSync(dirname(path)), ["version.lua"]);
  }
  const { client, close } = storageClient(haplane, "grpc-js");
  t.after(close);
  const data = Buffer.from(script(9));
  await client.putFile({ kind: FileKind.GENERAL, storageName: "version.lua", data });
  assert.equal(await served(), "9");
});
