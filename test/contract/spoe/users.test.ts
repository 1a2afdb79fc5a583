import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Applied_Via } from "../../../gen/haplane/v1/configuration_pb.js";
import { linesNaming } from "../../../src/config/file-words.ts";
import { Document } from "../../../src/text/document.ts";
import {
  type ConfigurationClient,
  configurationClient,
  failureOf,
} from "../../support/configuration-client.ts";
import { startHaplane, type TestHaplane } from "../../support/haplane.ts";
import { freePort } from "../../support/ports.ts";
import { preamble } from "../../support/preamble.ts";
import { type SpoeClient, spoeClient, spoeUpload } from "../../support/spoe-client.ts";

const USES: readonly [title: string, line: string, uses: boolean][] = [
  ["an absolute path", "filter spoe engine e config /srv/spoe/e.conf", true],
  ["an absolute path that goes about", "filter spoe engine e config /srv/x/../spoe/e.conf", true],
  ["a path in quotes", 'filter spoe engine e config "/srv/spoe/e.conf" # of ours', true],
  ["the parameters the other way round", "filter spoe config /srv/spoe/e.conf engine e", true],
  ["no engine", "filter spoe config /srv/spoe/e.conf", true],
  ["a relative path", "filter spoe engine e config spoe/e.conf", true],
  ["a relative path with a dot", "filter spoe engine e config ./e.conf", true],
  ["a name alone", "filter spoe engine e config e.conf", true],
  ["a directory from the environment", 'filter spoe engine e config "${DIR}/e.conf"', true],
  ["a directory with a default", 'filter spoe engine e config "${DIR-/srv}/spoe/e.conf"', true],
  ["another file", "filter spoe engine e config /srv/spoe/f.conf", false],
  ["a file whose name ends the same", "filter spoe engine e config /srv/spoe/the-e.conf", false],
  ["a relative path elsewhere", "filter spoe engine e config other/e.conf", false],
  ["all of it from the environment", 'filter spoe engine e config "${FILE}"', false],
  ["the name as the engine", "filter spoe engine e config other", false],
  ["a comment", "# filter spoe engine e config /srv/spoe/e.conf", false],
];

for (const [title, line, uses] of USES) {
  test(`${title} ${uses ? "names" : "does not name"} the file`, () => {
    const bytes = Buffer.from(`frontend f\n  bind :80\n  ${line}\n`);
    const document = Document.parse([{ path: "/etc/haproxy.cfg", bytes }]);
    const found = linesNaming(document, ["/srv/spoe/e.conf"]).get("/srv/spoe/e.conf")!;
    assert.deepEqual(
      found.map((one) => [one.file, one.line, one.directive, one.resource]),
      uses ? [["/etc/haproxy.cfg", 3, "filter", "frontends/f"]] : [],
    );
  });
}

test("a file without a dot in its name is found behind config", () => {
  const bytes = Buffer.from("frontend f\n  filter spoe engine mirror config mirror\n");
  const document = Document.parse([{ path: "a.cfg", bytes }]);
  assert.equal(linesNaming(document, ["/srv/spoe/mirror"]).get("/srv/spoe/mirror")?.length, 1);
});

const FILE = `[one]
spoe-agent one
    messages m
    option var-prefix e
    timeout processing 1s
    use-backend agents
spoe-message m
    args src
    event on-client-session
`;

/** What uses the file: relative to a directory (`default-path config` would do as well, but HAProxy 2.6 cannot read a SPOE file then), from the environment, in a block, and absolute. */
const CONFIGURATION = (directory: string, ports: readonly number[]) => `
frontend relative
    bind 127.0.0.1:${ports[0]}
    filter spoe engine one config spoe/one.conf

.if 1
frontend environment
    bind 127.0.0.1:${ports[1]}
    filter compression
    filter spoe engine one config "\${SPOE_DIR}/one.conf"
.endif

frontend absolute
    bind 127.0.0.1:${ports[2]}
    filter spoe engine one config ${directory}/one.conf

backend agents
    mode tcp
    server one 127.0.0.1:9
`;

let haplane: TestHaplane;
let client: SpoeClient;
let configuration: ConfigurationClient;
const ends: (() => void)[] = [];

before(async () => {
  haplane = await startHaplane(
    (statsSocket) => `${preamble(statsSocket)}\nbackend web\n    server a 127.0.0.1:9\n`,
  );
  const clients = [spoeClient(haplane, "grpc-js"), configurationClient(haplane, "grpc-js")] as const;
  [client, configuration] = [clients[0].client, clients[1].client];
  ends.push(...clients.map(({ close }) => close));
});
after(async () => {
  for (const end of ends) end();
  await haplane.stop();
});

test("a file that several filters use, each by another kind of path, is checked, reloaded and refused for all of them", async () => {
  const directory = join(haplane.dir, "spoe");
  const path = join(directory, "one.conf");
  await client.uploadFile(spoeUpload({ storageName: "one.conf" }, FILE));
  const ports = [await freePort(), await freePort(), await freePort()];
  const text = readFileSync(haplane.config, "utf8").replace(
    "global\n",
    `global\n    default-path origin ${haplane.dir}\n    setenv SPOE_DIR ${directory}\n`,
  );
  async function* replacement() {
    yield { part: { case: "header" as const, value: {} } };
    const data = Buffer.from(text + CONFIGURATION(directory, ports));
    yield { part: { case: "data" as const, value: data } };
  }
  await configuration.replaceDocument(replacement());
  const { file } = await client.getFile({ name: "spoe/one.conf" });
  const users = ["frontends/relative", "frontends/environment", "frontends/absolute"];
  assert.deepEqual(
    file?.referrers.map(({ directive, resource }) => [directive, resource]),
    users.map((resource) => ["filter", resource]),
  );
  const { reloads } = await haplane.worker();
  const name = "spoe/one.conf/scopes/one/agents/one";
  const update = (value: object) => client.update({ resource: { name, kind: { case: "agent", value } } });
  assert.equal((await update({ timeoutProcessing: "2s" })).applied?.via, Applied_Via.RELOAD);
  assert.equal((await haplane.worker()).reloads, reloads + 1);
  const text2 = readFileSync(path, "utf8");

  const refused = await failureOf(update({ useBackend: "nobody" }));
  assert.equal(refused.reason, "CONFIGURATION_REFUSED");
  assert.match(refused.message, /unknown backend 'nobody'/);
  assert.doesNotMatch(refused.message, /\.haplane-/);
  // A mistake of the file itself is told with its own line and resource.
  const wrong = text2.replace("timeout processing", "timeout process");
  const alert = await failureOf(client.uploadFile(spoeUpload({ storageName: "one.conf" }, wrong)));
  assert.equal(alert.reason, "CONFIGURATION_REFUSED");
  assert.deepEqual(new Set(alert.fields), new Set([name, ...users]));
  assert.ok(alert.message.includes(`${path}:5: `), alert.message);
  assert.equal(readFileSync(path, "utf8"), text2);
  assert.equal((await haplane.worker()).reloads, reloads + 1);
  assert.equal((await client.getFile({ name: "spoe/one.conf" })).file?.version, 2n);

  const inUse = await failureOf(client.deleteFile({ name: "spoe/one.conf" }));
  assert.deepEqual([inUse.reason, inUse.fields], ["RESOURCE_IN_USE", users]);
});
