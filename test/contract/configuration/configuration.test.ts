import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  Applied_Via,
  type ChangeSchema,
  ResourceChange_Type,
  type ResourceSchema,
  View,
} from "../../../gen/haplane/v1/configuration_pb.js";
import {
  type ConfigurationClient,
  configurationClient,
  failureOf,
  type Stack,
} from "../../support/configuration-client.ts";
import { startHaplane, type TestHaplane } from "../../support/haplane.ts";
import { freePort } from "../../support/ports.ts";
import { preamble } from "../../support/preamble.ts";

const STACKS: readonly Stack[] = ["grpc-js", "Connect", "Connect JSON"];

const configuration = (statsSocket: string, port: number) => `# written by hand
${preamble(statsSocket)}
userlist ops
    user tom insecure-password hunter2

frontend web   # the door
    bind 127.0.0.1:${port}
    default_backend site

backend site
    server a 127.0.0.1:18001 id 1
    server b 127.0.0.1:18002 id 2 weight 5
`;

const HOSTILE_NAMES = [
  "backends/",
  "backends/a/b",
  "backends/a%2Fb",
  "backends/a b",
  "backends/a%20b",
  "backends/%",
  "backends/%zz",
  "backends/a%0Aglobal",
  "backends/a%00",
  "backends/../global",
  "backends/é",
  "/backends/a",
  "nothing/a",
];

const update = (name: string, kind: NonNullable<MessageInitShape<typeof ResourceSchema>["kind"]>) =>
  ({ case: "update", value: { resource: { name, kind } } }) as const;

/** Changes that HAProxy takes in different ways. */
const TRIED: readonly (readonly [
  what: string,
  via: Applied_Via,
  change: NonNullable<MessageInitShape<typeof ChangeSchema>["operation"]>,
])[] = [
  [
    "a weight",
    Applied_Via.RUNTIME,
    update("backends/site/servers/b", { case: "server", value: { weight: 8 } }),
  ],
  [
    "a timeout",
    Applied_Via.RELOAD,
    update("backends/site", { case: "backend", value: { timeoutServer: "7s" } }),
  ],
  [
    "a rule that HAProxy warns of",
    Applied_Via.RELOAD,
    update("backends/site", {
      case: "backend",
      value: {
        acls: [{ name: "late", criterion: "res.hdr(x)", patterns: "-m found" }],
        httpRequestRules: [{ action: { case: "deny", value: {} }, condition: "if late" }],
      },
    }),
  ],
];

for (const stack of STACKS) {
  describe(`Configuration over ${stack}`, () => {
    let haplane: TestHaplane;
    let client: ConfigurationClient;
    let close: () => void;
    let port: number;
    const text = () => readFileSync(haplane.config, "utf8");

    before(async () => {
      port = await freePort();
      haplane = await startHaplane((statsSocket) => configuration(statsSocket, port));
      ({ client, close } = configurationClient(haplane, stack));
    });
    after(async () => {
      close();
      await haplane.stop();
    });

    test("a resource is read, with its etag and revision", async () => {
      const { resource, revision } = await client.get({ name: "backends/site/servers/b" });
      assert.ok(resource?.kind.case === "server");
      const { name, address, port, weight } = resource.kind.value;
      assert.deepEqual([name, address, port, weight], ["b", "127.0.0.1", 18002, 5]);
      assert.equal(resource.etag.length, 22);
      assert.ok(revision >= 1n);
    });

    test("a section is read alone or with its children", async () => {
      const servers = async (view: View) => {
        const { resource } = await client.get({ name: "backends/site", view });
        return resource?.kind.case === "backend"
          ? resource.kind.value.servers.map(({ name }) => name)
          : undefined;
      };
      assert.deepEqual(await servers(View.BASIC), []);
      assert.deepEqual(await servers(View.FULL), ["a", "b"]);
    });

    test("lists come in pages, in the order of the file", async () => {
      const all = await client.list({});
      assert.deepEqual(
        all.resources.map(({ name }) => name),
        ["global", "defaults/@1", "userlists/ops", "frontends/web", "backends/site"],
      );
      const first = await client.list({ parent: "backends/site/servers", pageSize: 1 });
      const second = await client.list({
        ...{ parent: "backends/site/servers", pageSize: 1, pageToken: first.nextPageToken },
      });
      assert.deepEqual(
        [...first.resources, ...second.resources].map(({ name }) => name),
        ["backends/site/servers/a", "backends/site/servers/b"],
      );
      assert.equal(second.nextPageToken, "");
      const binds = await client.list({ parent: "frontends/web/binds" });
      assert.deepEqual(
        binds.resources.map(({ name }) => name),
        [`frontends/web/binds/@127.0.0.1:${port}`],
      );
      const filtered = await client.list({ parent: "backends/site/servers", filter: "b*" });
      assert.deepEqual(
        filtered.resources.map(({ name }) => name),
        ["backends/site/servers/b"],
      );
    });

    test("a weight goes to HAProxy by a command, and nothing else of the file changes", async () => {
      const old = text();
      const { reloads } = await haplane.worker();
      const { resource, applied, revision } = await client.update({
        resource: { name: "backends/site/servers/b", kind: { case: "server", value: { weight: 9 } } },
        updateMask: { paths: ["weight"] },
      });
      assert.equal(applied?.via, Applied_Via.RUNTIME, applied?.reasons.join());
      assert.ok(resource?.kind.case === "server" && resource.kind.value.weight === 9);
      assert.equal((await haplane.worker()).reloads, reloads);
      assert.match(await haplane.ask("get weight site/b"), /^9 /);
      assert.equal(text(), old.replace("weight 5", "weight 9"));
      assert.equal((await client.getVersion({})).revision, revision);
    });

    for (const [what, via, change] of TRIED) {
      test(`what is tried changes nothing and says what the write then does: ${what}`, async () => {
        const old = text();
        const { revision } = await client.getVersion({});
        const changes = [{ operation: change }];
        const tried = await client.apply({ changes, options: { validateOnly: true } });
        assert.equal(text(), old);
        assert.deepEqual([tried.revision, (await client.getVersion({})).revision], [revision, revision]);
        const made = await client.apply({ changes });
        assert.equal(made.revision, revision + 1n);
        const told = ({ changes: done, applied }: typeof tried) => ({
          done: done.map(({ name, type, etag }) => ({ name, type, etag })),
          via: applied?.via,
          reasons: applied?.reasons,
          commands: applied?.runtimeCommands,
          warnings: applied?.warnings.map(({ file, line, message, resource }) => ({
            ...{ file, line, message, resource },
          })),
        });
        assert.deepEqual(told(made), told(tried));
        assert.equal(made.applied?.via, via);
        assert.equal(made.applied.reload !== "", via === Applied_Via.RELOAD);
        assert.equal(tried.applied?.reload, "");
        assert.equal(made.applied.warnings.length > 0, what.includes("warns"));
        assert.notEqual(tried.diff, "");
        assert.equal((await client.getRevision({ name: `revisions/${made.revision}` })).diff, tried.diff);
        await client.rollback({ name: `revisions/${revision}` });
        assert.equal(text(), old);
      });
    }

    test("a write that takes the last socket for commands away says what that costs", async () => {
      const { applied } = await client.update({
        resource: { name: "global", kind: { case: "global", value: {} } },
        updateMask: { paths: ["stats_sockets"] },
        options: { validateOnly: true },
      });
      const [warning] = applied!.warnings;
      assert.match(warning!.message, /no stats socket with the level admin any more/);
      assert.equal(warning!.resource, "global");
    });

    test("an alert names the file as its owner knows it, and no copy of it", async () => {
      const frontend = { name: "listens/web", kind: { case: "listen" as const, value: {} } };
      const { code, message } = await failureOf(client.create({ resource: frontend }));
      assert.equal(code, "FailedPrecondition");
      assert.match(message, /haproxy\.cfg/);
      assert.doesNotMatch(message, /haplane-check/);
    });

    test("an etag for what does not exist is NOT_FOUND, whatever the verb", async () => {
      const resource = { name: "backends/none", etag: "x", kind: { case: "backend" as const, value: {} } };
      assert.equal((await failureOf(client.update({ resource }))).code, "NotFound");
      assert.equal((await failureOf(client.delete({ name: "backends/none", etag: "x" }))).code, "NotFound");
      assert.deepEqual((await failureOf(client.apply({ changes: [{}] }))).fields, ["changes[0].operation"]);
    });

    test("a stale etag and a stale revision are ABORTED", async () => {
      const resource = {
        ...{ name: "backends/site/servers/a", etag: "x".repeat(22) },
        kind: { case: "server" as const, value: { weight: 2 } },
      };
      const stale = await failureOf(client.update({ resource }));
      assert.deepEqual([stale.code, stale.reason], ["Aborted", "ETAG_MISMATCH"]);
      assert.equal(stale.metadata.current, (await client.get({ name: resource.name })).resource?.etag);
      const old = await failureOf(
        client.update({ resource: { ...resource, etag: "" }, options: { baseRevision: 9_999n } }),
      );
      assert.deepEqual([old.code, old.reason], ["Aborted", "ETAG_MISMATCH"]);
    });

    test("of writes for the same revision that come at the same time one is made, the others are ABORTED", async () => {
      const weight = (name: string, baseRevision: bigint) =>
        client.update({
          resource: { name: `backends/site/servers/${name}`, kind: { case: "server", value: { weight: 9 } } },
          options: { baseRevision },
        });
      const section = (name: string, baseRevision: bigint) =>
        client.create({
          resource: { name: `backends/${name}`, kind: { case: "backend", value: {} } },
          options: { baseRevision },
        });
      const old = text();
      const { revision: first } = await client.getVersion({});
      for (const write of [weight, section]) {
        const { revision } = await client.getVersion({});
        const writes = ["a", "b"].map((name) => write(name, revision));
        const made = (await Promise.allSettled(writes)).filter(({ status }) => status === "fulfilled");
        assert.equal(made.length, 1);
        const [refused] = await Promise.all(
          writes.map((one) =>
            one.then(
              () => undefined,
              () => failureOf(one),
            ),
          ),
        ).then((failures) => failures.filter((failure) => failure !== undefined));
        assert.deepEqual([refused?.code, refused?.reason], ["Aborted", "ETAG_MISMATCH"]);
        assert.equal((await client.getVersion({})).revision, revision + 1n);
      }
      await client.rollback({ name: `revisions/${first}` });
      assert.equal(text(), old);
    });

    test("a field that does not exist is refused in JSON, and not left out", async () => {
      for (const wrong of [
        { name: "backends/site", option: { validateOnly: true } },
        { name: "backends/site", options: { validateOnyl: true } },
      ])
        await assert.rejects(
          haplane.call("haplane.v1.Configuration/Delete", wrong),
          /invalid_argument.*unknown/,
        );
      assert.match(text(), /^backend site$/m);
    });

    test("wrong values are named by their fields", async () => {
      const wrong = await failureOf(
        client.update({
          resource: { name: "backends/site", kind: { case: "backend", value: { timeoutServer: "soon" } } },
        }),
      );
      assert.deepEqual([wrong.code, wrong.fields], ["InvalidArgument", ["resource.backend.timeout_server"]]);
      const absent = await failureOf(client.create({}));
      assert.deepEqual([absent.code, absent.fields], ["InvalidArgument", ["resource"]]);
      const unknown = await failureOf(client.get({ name: "backends/none" }));
      assert.deepEqual([unknown.code, unknown.reason], ["NotFound", "RESOURCE_NOT_FOUND"]);
    });

    test("names that HAProxy or the API cannot have are refused, and change nothing", async () => {
      const old = text();
      for (const name of HOSTILE_NAMES) {
        const value = { name, kind: { case: "backend" as const, value: {} } };
        for (const call of [
          () => client.create({ resource: value }),
          () => client.update({ resource: value, allowMissing: true }),
          () => client.apply({ desired: [value] }),
        ]) {
          const { code, fields } = await failureOf(call());
          assert.equal(code, "InvalidArgument", name.slice(0, 80));
          assert.match(fields.join(), /^(resource|desired\[0\])\./, name.slice(0, 80));
        }
      }
      assert.equal(text(), old);
    });

    test("a server that only a start can read takes the reload, or is refused by HAProxy's check", async () => {
      const old = text();
      const server = (address: string, more: object = {}) => ({
        name: "backends/site/servers/odd",
        kind: { case: "server" as const, value: { address, port: 18009, id: 9, ...more } },
      });
      for (const address of ["nope.invalid", "300.1.1.1", "udp@1.2.3.4", "1.2.3.4-5"]) {
        const refused = await failureOf(client.create({ resource: server(address) }));
        assert.deepEqual([refused.code, text()], ["FailedPrecondition", old], address);
      }
      for (const [address, more] of [
        ["localhost", {}],
        ["127.0.0.1", { agentCheck: true, agentPort: 9055, agentSend: "${HOME}" }],
      ] as const) {
        const { applied } = await client.create({ resource: server(address, more) });
        assert.equal(applied?.via, Applied_Via.RELOAD, address);
        assert.match(await haplane.ask("show servers state site"), / odd 127\.0\.0\.1 /);
        await client.delete({ name: "backends/site/servers/odd" });
      }
      assert.equal(text(), old);
    });

    test("a text that HAProxy refuses as such is refused, though nothing that it runs would change", async () => {
      const old = text();
      for (const broken of [old.trimEnd(), `${old}# a comment with a \0\n`]) {
        async function* parts() {
          yield { part: { case: "header" as const, value: {} } };
          yield { part: { case: "data" as const, value: Buffer.from(broken) } };
        }
        const { code, reason } = await failureOf(client.replaceDocument(parts()));
        assert.deepEqual([code, reason], ["FailedPrecondition", "CONFIGURATION_REFUSED"]);
        assert.equal(text(), old);
      }
    });

    test("a name of 1 KB is as good as another", async () => {
      const name = `backends/${"n".repeat(1_024)}`;
      const server = `${name}/servers/${"s".repeat(1_024)}`;
      await client.create({ resource: { name, kind: { case: "backend", value: {} } } });
      const value = { address: "127.0.0.1", port: 18003, id: 7 };
      const { applied } = await client.create({
        resource: { name: server, kind: { case: "server", value } },
      });
      assert.equal(applied?.via, Applied_Via.RUNTIME, applied?.reasons.join());
      assert.equal((await client.get({ name: server })).resource?.name, server);
      await client.delete({ name });
      assert.equal((await failureOf(client.get({ name }))).code, "NotFound");
    });

    test("what is in use is not deleted, what is missing not named", async () => {
      const used = await failureOf(client.delete({ name: "backends/site" }));
      assert.deepEqual([used.code, used.reason], ["FailedPrecondition", "RESOURCE_IN_USE"]);
      assert.deepEqual(used.fields, ["frontends/web"]);
      const missing = await failureOf(
        client.update({
          resource: { name: "frontends/web", kind: { case: "frontend", value: { defaultBackend: "none" } } },
        }),
      );
      assert.deepEqual([missing.code, missing.reason], ["FailedPrecondition", "REFERENCE_MISSING"]);
      assert.deepEqual(missing.fields, ["resource.frontend.default_backend"]);
    });

    test("secrets stay inside, and survive reading and writing back", async () => {
      const { resource } = await client.get({ name: "userlists/ops" });
      assert.ok(resource?.kind.case === "userlist");
      assert.equal(resource.kind.value.users[0]?.credential.case, undefined);
      const written = await client.update({ resource, updateMask: { paths: ["*"] } });
      assert.equal(written.applied?.via, Applied_Via.NONE);
      assert.match(text(), /hunter2/);
      const tried = await client.update({
        ...{
          resource: {
            name: "userlists/ops",
            kind: {
              case: "userlist",
              value: { users: [{ name: "eve", credential: { case: "insecurePassword", value: "new2" } }] },
            },
          },
        },
        ...{ updateMask: { paths: ["users"] }, options: { validateOnly: true } },
      });
      assert.doesNotMatch(tried.diff, /hunter2|new2/);
      assert.match(tried.diff, /user …/);
    });

    test("a refusal of HAProxy comes with the resource, and leaves all as it was", async () => {
      const old = text();
      const refused = await failureOf(
        client.create({
          resource: {
            name: "backends/wrong",
            kind: {
              case: "backend",
              value: { httpRequestRules: [{ action: { case: "useService", value: "lua.none" } }] },
            },
          },
        }),
      );
      assert.deepEqual(
        [refused.code, refused.reason],
        ["FailedPrecondition", "CONFIGURATION_REFUSED"],
        refused.message,
      );
      assert.equal(refused.fields[0], "backends/wrong");
      assert.equal(text(), old);
    });

    test("a batch is made as one, with one reload; one wrong change undoes it all", async () => {
      const old = text();
      const route = {
        operation: {
          case: "update" as const,
          value: {
            resource: {
              name: "frontends/web",
              kind: {
                case: "frontend" as const,
                value: { useBackendRules: [{ backend: "new", condition: "if { path /new }" }] },
              },
            },
          },
        },
      };
      const backend = {
        operation: {
          case: "create" as const,
          value: {
            resource: {
              name: "backends/new",
              kind: {
                case: "backend" as const,
                value: { servers: [{ name: "s", address: "127.0.0.1", port: 18003 }] },
              },
            },
          },
        },
      };
      const wrong = await failureOf(
        client.apply({
          changes: [route, backend, { operation: { case: "delete", value: { name: "backends/none" } } }],
        }),
      );
      assert.equal(wrong.reason, "RESOURCE_NOT_FOUND");
      assert.equal(text(), old);
      const { reloads } = await haplane.worker();
      const { changes, applied } = await client.apply({ changes: [route, backend] });
      assert.deepEqual(
        changes.map(({ name, type }) => [name, type]),
        [
          ["frontends/web", ResourceChange_Type.UPDATED],
          ["backends/new", ResourceChange_Type.CREATED],
        ],
      );
      assert.equal(applied?.via, Applied_Via.RELOAD);
      assert.equal((await haplane.worker()).reloads, reloads + 1);
    });

    test("the desired state is reached by the smallest change", async () => {
      const desired = ["a", "b", "c"].map((name, index) => ({
        name: `backends/site/servers/${name}`,
        kind: {
          case: "server" as const,
          value: {
            address: "127.0.0.1",
            port: 18_001 + index,
            id: index + 1,
            ...(name === "b" && { weight: 9 }),
          },
        },
      }));
      const { reloads } = await haplane.worker();
      const grown = await client.apply({ desired, prune: ["backends/site/servers"] });
      assert.deepEqual(
        grown.changes.map(({ name, type }) => [name, type]),
        [["backends/site/servers/c", ResourceChange_Type.CREATED]],
      );
      const shrunk = await client.apply({ desired: desired.slice(0, 2), prune: ["backends/site/servers"] });
      assert.deepEqual(
        shrunk.changes.map(({ name, type }) => [name, type]),
        [["backends/site/servers/c", ResourceChange_Type.DELETED]],
      );
      assert.equal(
        (await haplane.worker()).reloads,
        reloads,
        [...grown.applied!.reasons, ...shrunk.applied!.reasons].join(),
      );
    });

    test("a request that comes again gets the first answer, which says so", async () => {
      const request = {
        ...{ resource: { name: "backends/once", kind: { case: "backend" as const, value: {} } } },
        options: { requestId: "create-once" },
      };
      const [first, second] = await Promise.all([client.create(request), client.create(request)]);
      assert.ok(first.applied);
      assert.equal(first.applied.replayed, false);
      const again = { ...first, applied: { ...first.applied, replayed: true } };
      assert.deepEqual(second, again);
      assert.deepEqual(await client.create(request), again);
      const other = await failureOf(
        client.delete({ name: "backends/once", options: { requestId: "create-once" } }),
      );
      assert.deepEqual(other.fields, ["request_id"]);
    });

    test("a transaction is seen by its own reads, and made by its commit", async () => {
      const { transaction } = await client.beginTransaction({});
      const { name } = transaction!;
      const staged = { options: { transaction: name } };
      await client.create({
        resource: { name: "backends/tx", kind: { case: "backend", value: {} } },
        ...staged,
      });
      await client.create({
        resource: {
          name: "backends/tx/servers/s",
          kind: { case: "server", value: { address: "127.0.0.1", port: 18004 } },
        },
        ...staged,
      });
      assert.equal((await failureOf(client.get({ name: "backends/tx" }))).code, "NotFound");
      assert.ok((await client.get({ name: "backends/tx/servers/s", transaction: name })).resource);
      const got = await client.getTransaction({ name });
      assert.deepEqual(got.transaction?.resources, ["backends/tx", "backends/tx/servers/s"]);
      assert.match(got.diff, /^\+backend tx$/m);
      assert.ok((await client.listTransactions({})).transactions.some((one) => one.name === name));
      // Somebody else's change of something else does not disturb it.
      await client.update({
        resource: { name: "backends/site/servers/a", kind: { case: "server", value: { weight: 3 } } },
      });
      const { revision } = await client.commitTransaction({ name });
      assert.equal((await client.getVersion({})).revision, revision);
      assert.ok((await client.get({ name: "backends/tx/servers/s" })).resource);
      assert.equal((await failureOf(client.getTransaction({ name }))).code, "NotFound");
      await client.abortTransaction({ name });
    });

    test("a transaction that others have overtaken is ABORTED, and says by what", async () => {
      const { transaction } = await client.beginTransaction({});
      const { name } = transaction!;
      const server = (weight: number) => ({
        ...{ name: "backends/site/servers/a", kind: { case: "server" as const, value: { weight } } },
      });
      await client.update({ resource: server(11), options: { transaction: name } });
      await client.update({ resource: server(12) });
      const conflict = await failureOf(client.commitTransaction({ name }));
      assert.deepEqual([conflict.code, conflict.reason], ["Aborted", "CONFLICT"]);
      assert.equal(conflict.metadata.resources, "backends/site/servers/a");
      await client.abortTransaction({ name });
    });

    test("the text is read, checked, replaced, and rolled back", async () => {
      const read = async (revision = 0n) => {
        let all = "";
        for await (const { data } of client.readDocument({ revision })) all += Buffer.from(data).toString();
        return all;
      };
      const replace = (header: object, content: string) =>
        client.replaceDocument(
          (async function* () {
            yield { part: { case: "header" as const, value: header } };
            yield { part: { case: "data" as const, value: Buffer.from(content) } };
          })(),
        );
      const old = text();
      assert.equal(await read(), old);
      const { revision } = await client.getVersion({});
      const broken = await replace({ validateOnly: true }, `${old}\nbackend odd\n    balanc source\n`);
      assert.match(broken.alerts[0]!.message, /balanc/);
      assert.equal(broken.alerts[0]!.line, old.split("\n").length + 2);
      assert.equal(broken.alerts[0]!.resource, "backends/odd");
      assert.equal((await failureOf(replace({}, `${old}\nnonsense here\n`))).reason, "CONFIGURATION_REFUSED");
      assert.equal(text(), old);
      const replaced = await replace({ message: "by text" }, `${old}\nbackend texted\n`);
      assert.equal(replaced.applied?.via, Applied_Via.RELOAD);
      assert.equal(text(), `${old}\nbackend texted\n`);
      const page = await client.listRevisions({ pageSize: 1 });
      assert.deepEqual(
        [page.revisions[0]?.number, page.revisions[0]?.message],
        [replaced.revision, "by text"],
      );
      assert.ok(page.nextPageToken.length > 0);
      const got = await client.getRevision({ name: `revisions/${replaced.revision}` });
      assert.match(got.diff, /^\+backend texted$/m);
      assert.equal(await read(revision), old);
      const back = await client.rollback({ name: `revisions/${revision}` });
      assert.ok(back.revision > replaced.revision);
      assert.equal(text(), old);
      assert.equal((await failureOf(client.rollback({ name: "revisions/99999" }))).code, "NotFound");
    });

    test("capabilities name the version and what can be done", async () => {
      const { haproxyVersion, managed, checks, reloads } = await client.getCapabilities({});
      assert.match(haproxyVersion, /^\d+\.\d+/);
      assert.deepEqual([managed, checks, reloads], [true, true, true]);
    });
  });
}
