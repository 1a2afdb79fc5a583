import assert from "node:assert/strict";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Applied_Via } from "../../../gen/haplane/v1/configuration_pb.js";
import { configurationClient, failureOf, type Stack } from "../../support/configuration-client.ts";
import { startHaplane, type TestHaplane } from "../../support/haplane.ts";
import { freePort } from "../../support/ports.ts";
import { preamble } from "../../support/preamble.ts";
import { type SpoeClient, spoeClient, spoeDownload, spoeUpload } from "../../support/spoe-client.ts";

const port = await freePort();
const CONFIGURATION = (statsSocket: string) => `${preamble(statsSocket)}
frontend web
    bind 127.0.0.1:${port}

backend agents
    mode tcp
    server one 127.0.0.1:9
`;

const WHOLE = `# of the mirror
[mirror]

spoe-agent mirror
    messages mirror
    use-backend agents
    timeout processing 500ms

spoe-message mirror
    args method=method path
    event on-frontend-http-request
`;

for (const stack of ["grpc-js", "Connect", "Connect JSON"] satisfies Stack[]) {
  describe(`Spoe over ${stack}`, () => {
    let haplane: TestHaplane;
    let client: SpoeClient;
    let close: () => void;
    const uploads = stack === "grpc-js";

    before(async () => {
      haplane = await startHaplane(CONFIGURATION);
      ({ client, close } = spoeClient(haplane, stack));
    });
    after(async () => {
      close();
      await haplane.stop();
    });

    const at = (name: string) => join(haplane.dir, "spoe", name);
    /** HTTP/1.1 has no client streams: there files come from elsewhere. */
    const put = async (name: string, text: string) => {
      if (uploads) await client.uploadFile(spoeUpload({ storageName: name }, text));
      else writeFileSync(at(name), text);
    };
    const scope = "spoe/mirror.conf/scopes/mirror";
    const agent = () => ({
      name: `${scope}/agents/mirror`,
      kind: { case: "agent" as const, value: { messages: [{ names: ["mirror"] }], useBackend: "agents" } },
    });
    const message = () => ({
      name: `${scope}/messages/mirror`,
      kind: {
        case: "message" as const,
        value: { args: [{ arguments: [{ name: "method", sample: "method" }, { sample: "path" }] }] },
      },
    });

    test("a file is built from nothing, a version for each step", async () => {
      await put("mirror.conf", "");
      assert.equal((await client.getFile({ name: "spoe/mirror.conf" })).file?.version, 1n);
      const made = await client.create({ resource: { name: scope, kind: { case: "scope", value: {} } } });
      assert.deepEqual([made.version, made.applied?.via], [2n, Applied_Via.NONE]);
      assert.equal((await client.create({ resource: message() })).version, 3n);
      const { resource, version } = await client.create({ resource: agent() });
      assert.equal(version, 4n);
      assert.equal(resource?.name, `${scope}/agents/mirror`);
      const { file, text } = await spoeDownload(client, "spoe/mirror.conf");
      assert.deepEqual([file?.version, file?.scopes], [4n, [scope]]);
      assert.equal(
        text,
        "[mirror]\n\nspoe-message mirror\n    args method=method path\n\nspoe-agent mirror\n    messages mirror\n    use-backend agents\n",
      );
      assert.equal(readFileSync(at("mirror.conf"), "utf8"), text);
    });

    test("resources are read and listed in the order of the file", async () => {
      const names = async (parent: string) =>
        (await client.list({ parent })).resources.map(({ name }) => name.replace(`${scope}/`, ""));
      assert.deepEqual(await names("spoe/mirror.conf/scopes"), [scope]);
      assert.deepEqual(await names(scope), ["messages/mirror", "agents/mirror"]);
      assert.deepEqual(await names(`${scope}/groups`), []);
      const page = await client.list({ parent: scope, pageSize: 1 });
      const next = await client.list({ parent: scope, pageSize: 1, pageToken: page.nextPageToken });
      assert.equal(next.resources[0]?.name, `${scope}/agents/mirror`);
      const { resource } = await client.get({ name: `${scope}/messages/mirror` });
      assert.equal(resource?.kind.case, "message");
    });

    test("an update rewrites the lines of its fields alone, and guards by etag", async () => {
      await put("update.conf", WHOLE);
      const name = "spoe/update.conf/scopes/mirror/agents/mirror";
      const { resource } = await client.get({ name });
      const value = { timeoutProcessing: "1s", optionVarPrefix: "m" };
      const request = { resource: { name, etag: resource!.etag, kind: { case: "agent" as const, value } } };
      const tried = await client.update({ ...request, options: { validateOnly: true } });
      assert.match(tried.diff, /-.*500ms\n\+.*timeout processing 1s/);
      await client.update(request);
      const { text } = await spoeDownload(client, "spoe/update.conf");
      assert.equal(text, WHOLE.replace("500ms", "1s\n    option var-prefix m"));
      const stale = await failureOf(client.update(request));
      assert.deepEqual([stale.code, stale.reason], ["Aborted", "ETAG_MISMATCH"]);
      const base = await failureOf(client.delete({ name, options: { baseVersion: 7n } }));
      assert.deepEqual([base.code, base.reason, base.metadata.current], ["Aborted", "ETAG_MISMATCH", "2"]);
    });

    test("several changes are one version, and names are looked at when all are made", async () => {
      await put("batch.conf", "");
      const base = "spoe/batch.conf/scopes/mirror";
      const moved = <R extends { name: string }>(resource: R) => ({
        ...resource,
        name: resource.name.replace(scope, base),
      });
      const { version, changes } = await client.apply({
        file: "spoe/batch.conf",
        changes: [
          {
            operation: {
              case: "create",
              value: { resource: { name: base, kind: { case: "scope", value: {} } } },
            },
          },
          { operation: { case: "create", value: { resource: moved(agent()) } } },
          { operation: { case: "create", value: { resource: moved(message()) } } },
        ],
      });
      assert.equal(version, 2n);
      assert.deepEqual(
        changes.map(({ name }) => name),
        [base, `${base}/agents/mirror`, `${base}/messages/mirror`],
      );
      const used = await failureOf(client.delete({ name: `${base}/messages/mirror` }));
      assert.deepEqual([used.reason, used.fields], ["RESOURCE_IN_USE", [`${base}/agents/mirror`]]);
      await client.delete({ name: base });
      assert.equal((await spoeDownload(client, "spoe/batch.conf")).text, "");
    });

    test("a transaction is one version, and seen by its own reads", async () => {
      await put("staged.conf", "# of ours\n");
      const file = "spoe/staged.conf";
      const base = `${file}/scopes/mirror`;
      const { transaction } = await client.beginTransaction({ file });
      const options = { transaction: transaction!.name };
      await client.create({ resource: { name: base, kind: { case: "scope", value: {} } }, options });
      await client.create({ resource: { ...message(), name: `${base}/messages/mirror` }, options });
      await client.create({ resource: { ...agent(), name: `${base}/agents/mirror` }, options });
      assert.equal((await client.list({ parent: `${file}/scopes` })).resources.length, 0);
      assert.equal((await client.list({ parent: base, ...options })).resources.length, 2);
      assert.match((await spoeDownload(client, file, transaction!.name)).text, /^# of ours\n\n\[mirror\]/);
      const { transactions } = await client.listTransactions({ file });
      assert.deepEqual(
        transactions.map(({ name, writes }) => [name, writes]),
        [[transaction!.name, 3]],
      );
      assert.match((await client.getTransaction({ name: transaction!.name })).diff, /\+spoe-agent mirror/);
      const { version } = await client.commitTransaction({ name: transaction!.name });
      assert.equal(version, 2n);
      assert.equal((await client.listTransactions({ file })).transactions.length, 0);
    });

    test("a transaction that others have overtaken is ABORTED, and says by what", async () => {
      await put("overtaken.conf", WHOLE);
      const file = "spoe/overtaken.conf";
      const resource = {
        name: `${file}/scopes/mirror/messages/mirror`,
        kind: { case: "message" as const, value: { args: [{ arguments: [{ sample: "src" }] }] } },
      };
      const { transaction } = await client.beginTransaction({ file });
      const name = transaction!.name;
      await client.update({ resource, options: { transaction: name } });
      await client.update({
        resource: { ...resource, kind: { case: "message", value: { event: { name: 1 } } } },
      });
      const refused = await failureOf(client.commitTransaction({ name }));
      assert.deepEqual([refused.code, refused.reason], ["Aborted", "CONFLICT"]);
      assert.equal(refused.metadata.resources, resource.name);
      await client.abortTransaction({ name });
      assert.equal((await failureOf(client.getTransaction({ name }))).reason, "RESOURCE_NOT_FOUND");
    });

    test("the lines before the first scope are one as well, and a scope that stands twice is not written", async () => {
      await put("plain.conf", "");
      const base = "spoe/plain.conf/scopes/@1";
      await client.create({ resource: { ...message(), name: `${base}/messages/mirror` } });
      await client.create({ resource: { ...agent(), name: `${base}/agents/mirror` } });
      const { file, text } = await spoeDownload(client, "spoe/plain.conf");
      assert.deepEqual(file?.scopes, [base]);
      assert.match(text, /^spoe-message mirror\n {4}args method=method path\n\nspoe-agent mirror\n/);
      assert.equal((await client.get({ name: base })).resource?.kind.case, "scope");
      await put("twice.conf", "[s]\nspoe-message m\n[t]\n[s]\n");
      const name = "spoe/twice.conf/scopes/s/messages/m";
      assert.equal((await client.get({ name })).resource?.ambiguity, "2 scopes have the name");
      assert.equal((await failureOf(client.delete({ name }))).reason, "RESOURCE_AMBIGUOUS");
    });

    test("an edit by hand is a version of its own", async () => {
      await put("edited.conf", WHOLE);
      assert.equal((await client.getFile({ name: "spoe/edited.conf" })).file?.version, 1n);
      appendFileSync(at("edited.conf"), "\n# by hand\n");
      assert.equal((await client.getFile({ name: "spoe/edited.conf" })).file?.version, 2n);
      await client.create({
        resource: { name: "spoe/edited.conf/scopes/other", kind: { case: "scope", value: {} } },
      });
      assert.equal((await spoeDownload(client, "spoe/edited.conf")).text, `${WHOLE}\n# by hand\n\n[other]\n`);
    });

    test("a request that comes again gets the first answer", async () => {
      await put("again.conf", "");
      const name = "spoe/again.conf/scopes/s";
      const request = {
        resource: { name, kind: { case: "scope" as const, value: {} } },
        options: { requestId: `${stack} again` },
      };
      const first = await client.create(request);
      assert.equal((await client.create(request)).version, first.version);
    });

    test("a file that a filter uses is checked by HAProxy, which is reloaded, and stays when it refuses", async () => {
      await put("used.conf", WHOLE);
      const { client: configuration, close: end } = configurationClient(haplane, stack);
      try {
        const filters = [
          { kind: { case: "spoe" as const, value: { engine: "mirror", config: at("used.conf") } } },
        ];
        await configuration.update({
          resource: { name: "frontends/web", kind: { case: "frontend", value: { filters } } },
        });
        const { file } = await client.getFile({ name: "spoe/used.conf" });
        assert.deepEqual(
          file?.referrers.map(({ directive, resource }) => [directive, resource]),
          [["filter", "frontends/web"]],
        );
        const before = await haplane.worker();
        const name = "spoe/used.conf/scopes/mirror/agents/mirror";
        const value = { optionVarPrefix: "m" };
        const { applied } = await client.update({ resource: { name, kind: { case: "agent", value } } });
        assert.equal(applied?.via, Applied_Via.RELOAD);
        assert.equal((await haplane.worker()).reloads, before.reloads + 1);

        const text = readFileSync(at("used.conf"), "utf8");
        const wrong = {
          resource: { name, kind: { case: "agent" as const, value: { useBackend: "nobody" } } },
        };
        const refused = await failureOf(client.update(wrong));
        assert.deepEqual([refused.code, refused.reason], ["FailedPrecondition", "CONFIGURATION_REFUSED"]);
        assert.match(refused.message, /unknown backend 'nobody'.*used\.conf:4/);
        assert.doesNotMatch(refused.message, /haplane-new/);
        assert.equal(readFileSync(at("used.conf"), "utf8"), text);
        assert.equal((await haplane.worker()).reloads, before.reloads + 1);

        const inUse = await failureOf(client.deleteFile({ name: "spoe/used.conf" }));
        assert.deepEqual([inUse.reason, inUse.fields], ["RESOURCE_IN_USE", ["frontends/web"]]);
      } finally {
        end();
      }
    });

    describe("bad input is a typed error, and changes nothing", () => {
      before(() => put("bad.conf", WHOLE));
      const bad = "spoe/bad.conf/scopes";
      const create = (name: string, kind: object) =>
        client.create({ resource: { name, kind } as Parameters<SpoeClient["create"]>[0]["resource"] });
      const scopeKind = { case: "scope", value: {} };
      const agentKind = (value = {}) => ({ case: "agent", value });
      const groupKind = (...names: string[]) => ({ case: "group", value: { messages: [{ names }] } });
      const cases: readonly [title: string, code: string, reason: string, call: () => Promise<unknown>][] = [
        ...["a b", "a]", "", "ä", "a/b", "a\nb", "a;b"].map((id): (typeof cases)[number] => [
          `the scope ${JSON.stringify(id)}`,
          "InvalidArgument",
          "FIELD_INVALID",
          () => create(`${bad}/${encodeURIComponent(id)}`, scopeKind),
        ]),
        [
          "a scope that is there",
          "AlreadyExists",
          "RESOURCE_EXISTS",
          () => create(`${bad}/mirror`, scopeKind),
        ],
        [
          "an agent that is there",
          "AlreadyExists",
          "RESOURCE_EXISTS",
          () => create(`${bad}/mirror/agents/mirror`, agentKind()),
        ],
        [
          "a second agent",
          "AlreadyExists",
          "RESOURCE_EXISTS",
          () => create(`${bad}/mirror/agents/other`, agentKind()),
        ],
        [
          "an agent without its scope",
          "NotFound",
          "RESOURCE_NOT_FOUND",
          () => create(`${bad}/none/agents/a`, agentKind()),
        ],
        [
          "an agent that names a message that is not there",
          "FailedPrecondition",
          "REFERENCE_MISSING",
          () =>
            client.update({
              resource: {
                name: `${bad}/mirror/agents/mirror`,
                kind: { case: "agent", value: { messages: [{ names: ["none"] }] } },
              },
            }),
        ],
        [
          "a group that names one",
          "FailedPrecondition",
          "REFERENCE_MISSING",
          () => create(`${bad}/mirror/groups/g`, groupKind("none")),
        ],
        [
          "a message twice in a group",
          "InvalidArgument",
          "FIELD_INVALID",
          () => create(`${bad}/mirror/groups/g`, groupKind("mirror", "mirror")),
        ],
        [
          "a kind that is not the name's",
          "InvalidArgument",
          "FIELD_INVALID",
          () => create(`${bad}/mirror/groups/g`, agentKind()),
        ],
        [
          "a name that is none",
          "InvalidArgument",
          "FIELD_INVALID",
          () => create("spoe/bad.conf/agents/a", agentKind()),
        ],
        [
          "a name with a line break",
          "InvalidArgument",
          "FIELD_INVALID",
          () => create(`${bad}/mirror/messages/a%0Ab`, { case: "message", value: {} }),
        ],
        [
          "a value with a line break",
          "InvalidArgument",
          "FIELD_INVALID",
          () =>
            create(`${bad}/mirror/messages/m`, {
              case: "message",
              value: { args: [{ arguments: [{ sample: "src\nspoe-agent x" }] }] },
            }),
        ],
        [
          "a missing file",
          "NotFound",
          "RESOURCE_NOT_FOUND",
          () => create("spoe/none.conf/scopes/s", scopeKind),
        ],
        [
          "a file outside",
          "InvalidArgument",
          "FIELD_INVALID",
          () => client.getFile({ name: "spoe/..%2Fhaproxy.cfg" }),
        ],
        [
          "a stale etag",
          "Aborted",
          "ETAG_MISMATCH",
          () => client.delete({ name: `${bad}/mirror/messages/mirror`, etag: "old" }),
        ],
        [
          "a stale etag of a file",
          "Aborted",
          "ETAG_MISMATCH",
          () => client.deleteFile({ name: "spoe/bad.conf", etag: "old" }),
        ],
        [
          "a mask that names nothing",
          "InvalidArgument",
          "FIELD_INVALID",
          () =>
            client.update({
              resource: { name: `${bad}/mirror/agents/mirror`, kind: { case: "agent", value: {} } },
              updateMask: { paths: ["x"] },
            }),
        ],
        [
          "a change of a scope",
          "InvalidArgument",
          "FIELD_INVALID",
          () => client.update({ resource: { name: `${bad}/mirror`, kind: { case: "scope", value: {} } } }),
        ],
        [
          "changes of another file",
          "InvalidArgument",
          "FIELD_INVALID",
          () =>
            client.apply({
              file: "spoe/bad.conf",
              changes: [{ operation: { case: "delete", value: { name: scope } } }],
            }),
        ],
        [
          "no change",
          "InvalidArgument",
          "FIELD_INVALID",
          () => client.apply({ file: "spoe/bad.conf", changes: [{}] }),
        ],
        [
          "a transaction on a missing file",
          "NotFound",
          "RESOURCE_NOT_FOUND",
          () => client.beginTransaction({ file: "spoe/none.conf" }),
        ],
        [
          "a transaction that is not there",
          "NotFound",
          "RESOURCE_NOT_FOUND",
          () => client.commitTransaction({ name: "spoe/bad.conf/transactions/x" }),
        ],
      ];
      for (const [title, code, reason, call] of cases) {
        test(title, async () => {
          const failure = await failureOf(call());
          assert.deepEqual([failure.code, failure.reason], [code, reason], failure.message);
          assert.ok(failure.fields.length > 0 || failure.resource, "it names a field or a resource");
          assert.equal(readFileSync(at("bad.conf"), "utf8"), WHOLE);
          assert.equal((await client.getFile({ name: "spoe/bad.conf" })).file?.version, 1n);
        });
      }

      const files: readonly [title: string, reason: string, text: string, field: RegExp][] = [
        ["a scope with a blank", "FIELD_INVALID", "[a b]\n", /line 1/],
        ["words behind a scope", "FIELD_INVALID", "\n[a] b\n", /line 2/],
        ["two agents", "FIELD_INVALID", "[a]\nspoe-agent a\nspoe-agent b\n", /line 3/],
        ["a message twice", "FIELD_INVALID", "spoe-message m\nspoe-message m\n", /line 2/],
        [
          "a message in two groups",
          "FIELD_INVALID",
          "spoe-group a\n messages m\nspoe-group b\n messages m\nspoe-message m\n",
          /line 4/,
        ],
        ["an open quote", "FIELD_INVALID", "spoe-message m\n args 'x\n", /line 2/],
        ["lines of no section", "FIELD_INVALID", "[a]\n# fine\nargs src\n", /line 3/],
        ["a block over scopes", "FIELD_INVALID", ".if true\n[a]\n.endif\n", /line 1/],
        ["a section without a name", "FIELD_INVALID", "spoe-agent\n", /line 1/],
        ["an unknown message", "REFERENCE_MISSING", "[a]\nspoe-agent a\n messages m\n", /message m/],
      ];
      for (const [title, reason, text, field] of uploads ? files : []) {
        test(`an upload with ${title}`, async () => {
          const failure = await failureOf(client.uploadFile(spoeUpload({ storageName: "bad.conf" }, text)));
          assert.equal(failure.reason, reason);
          assert.match(failure.message, field);
          assert.ok(failure.fields.length > 0, "it names a field");
          assert.equal(readFileSync(at("bad.conf"), "utf8"), WHOLE);
        });
      }
      if (uploads) {
        for (const storageName of ["../x", "", ".x", "a/b", "a b"]) {
          test(`an upload to ${JSON.stringify(storageName)}`, async () => {
            const failure = await failureOf(client.uploadFile(spoeUpload({ storageName }, "")));
            assert.equal(failure.reason, "FIELD_INVALID");
          });
        }
        test("an upload that is not what its checksum says, is too large, or may not replace", async () => {
          const reasons = [
            await failureOf(
              client.uploadFile(spoeUpload({ storageName: "bad.conf", sha256: "0".repeat(64) }, "")),
            ),
            await failureOf(
              client.uploadFile(spoeUpload({ storageName: "bad.conf" }, "#".repeat(2 ** 20 + 1))),
            ),
            await failureOf(client.uploadFile(spoeUpload({ storageName: "bad.conf", createOnly: true }, ""))),
            await failureOf(client.uploadFile(spoeUpload({ storageName: "bad.conf", etag: "old" }, ""))),
          ].map(({ reason }) => reason);
          assert.deepEqual(reasons, ["FIELD_INVALID", "LIMIT_EXCEEDED", "RESOURCE_EXISTS", "ETAG_MISMATCH"]);
          assert.equal(readFileSync(at("bad.conf"), "utf8"), WHOLE);
        });
      }
    });
  });
}
