import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromJson, toJson } from "@bufbuild/protobuf";
import fc from "fast-check";
import { ProxySchema } from "../../gen/haplane/config/v1/proxy_pb.js";
import {
  type Change,
  ChangeSchema,
  type Resource,
  ResourceSchema,
} from "../../gen/haplane/v1/configuration_pb.js";
import type { ChangeOutcome } from "../../src/commit/change.ts";
import { applyChanges } from "../../src/config/apply-changes.ts";
import { type ApplyInput, applyRequest } from "../../src/config/apply-request.ts";
import { createEtags } from "../../src/config/etag.ts";
import { locate, namedSections, readResourceId, writeResourceId } from "../../src/config/locate.ts";
import { createResourceReader } from "../../src/config/read-resource.ts";
import { rolledBack } from "../../src/config/rollback.ts";
import type { WriteContext } from "../../src/config/write-context.ts";
import { DomainError } from "../../src/lib/errors.ts";
import { getRevision } from "../../src/service/configuration-history.ts";
import { unifiedDiff } from "../../src/service/unified-diff.ts";
import { Document } from "../../src/text/document.ts";
import { commitWorld } from "../support/commit-world.ts";
import { scriptedHaproxy } from "../support/scripted-factory.ts";

const etags = createEtags(Buffer.alloc(32, 3));
const reader = createResourceReader(etags);
const context: WriteContext = { etags, version: { major: 2, minor: 6 }, etagsCount: true };
const parse = (text: string) => Document.parse([{ path: "haproxy.cfg", bytes: Buffer.from(text) }]);
const print = (document: Document) => document.print(0).toString();
const nobody = () => false;

/** Lines of a backend, with what people write around them. */
const serverLine = fc
  .record({
    name: fc.constantFrom("a", "b", "c", "d", "e"),
    port: fc.integer({ min: 1, max: 9 }),
    weight: fc.option(fc.integer({ min: 0, max: 256 })),
    rest: fc.constantFrom("", " check", " backup", " check inter 2s", "   maxconn 7"),
    comment: fc.constantFrom("", "  # why", "#"),
  })
  .map(({ name, port, weight, rest, comment }) => ({
    key: name,
    text: `  server ${name} 10.0.0.${port}:80${weight === null ? "" : ` weight ${weight}`}${rest}${comment}`,
  }));
const directive = fc.constantFrom(
  { key: "balance", text: "\tbalance leastconn # best" },
  { key: "balance", text: "  balance   source" },
  { key: "timeout", text: "  timeout server 3s" },
  { key: "option", text: "  option  httpchk" },
  { key: "http-request 1", text: "  http-request set-header X-A 1" },
  { key: "http-request 2", text: "  http-request deny if { path /x }" },
  { key: "acl", text: "  acl one path_beg /one" },
);
const noise = fc.constantFrom("", "  # a remark", "\t");
const body = fc
  .array(
    fc.oneof(
      serverLine,
      directive,
      noise.map((text) => ({ key: "", text })),
    ),
    { maxLength: 8 },
  )
  .map((lines) => {
    const seen = new Set<string>();
    return lines
      .filter(({ key }) => key === "" || (!seen.has(key) && seen.add(key)))
      .map(({ text }) => `${text}\n`);
  });
const section = fc.tuple(fc.constantFrom("one", "two", "three"), body);
const documentText = fc
  .uniqueArray(section, { selector: ([name]) => name, minLength: 1 })
  .map(
    (sections) =>
      `# top\nglobal\n\n${sections.map(([name, lines]) => `backend ${name}\n${lines.join("")}\n`).join("")}`,
  );

/** All resources of a document by name, sections with what is in them. */
function resources(document: Document): Map<string, Resource> {
  const found = new Map<string, Resource>();
  for (const { kind, id } of namedSections(document)) {
    const name = writeResourceId({ kind, section: id, child: undefined });
    found.set(name, reader.read(locate(document, readResourceId(name, "name"))!, true));
  }
  return found;
}

/** What they say, without what changes with comments and blanks. Places of lines that no field stands for are left out. */
function meaning(document: Document): Record<string, unknown> {
  return Object.fromEntries(
    [...resources(document)].map(([name, resource]) => [
      name,
      toJson(ResourceSchema, { ...resource, etag: "" }),
    ]),
  );
}

const desired = (document: Document, prune: readonly string[]): ApplyInput => ({
  desired: [...resources(document).values()].map((resource) => ({ ...resource, etag: "" })),
  ...{ changes: [], prune: [...prune], guards: [], single: false },
});

test("applying what another document says makes the document say it", () => {
  fc.assert(
    fc.property(documentText, documentText, (a, b) => {
      const target = parse(b);
      const servers = ["one", "two", "three"]
        .filter((name) => target.find("backend", name).length > 0)
        .map((name) => `backends/${name}/servers`);
      const first = applyRequest(parse(a), desired(target, ["backends", ...servers]), context, nobody);
      assert.deepEqual(meaning(first.document), meaning(target));
      const second = applyRequest(first.document, desired(target, ["backends", ...servers]), context, nobody);
      assert.equal(second.document, first.document, "a second time there is nothing to do");
    }),
    { numRuns: 300 },
  );
});

test("applying what a document says itself changes no byte", () => {
  fc.assert(
    fc.property(documentText, (text) => {
      const document = parse(text);
      assert.equal(
        applyRequest(document, desired(document, ["backends"]), context, nobody).document,
        document,
      );
    }),
    { numRuns: 300 },
  );
});

test("what a file holds in its words is read, added anew, and reads the same: blanks of all kinds, quotes, signs", () => {
  const word = fc.string({
    unit: fc.constantFrom("a", "Z", "1", " ", "\t", "'", '"', "\\", "#", "%", "$", "/", "é"),
    minLength: 1,
  });
  fc.assert(
    fc.property(word, word, word, (header, cookie, pattern) => {
      const quoted = (text: string) => `"${text.replace(/["\\$]/g, "\\$&")}"`;
      const text = `frontend f
  acl one hdr(x) ${quoted(pattern)}
  http-request set-header x ${quoted(header.replaceAll("%", "%%"))}
backend f
  server a 10.0.0.1:80 cookie ${quoted(cookie)}
`;
      const found = resources(parse(text));
      const changes = ["frontends/f", "backends/f"].map((name) =>
        changeOf({ case: "create", value: { resource: { ...found.get(name)!, etag: "" } } }),
      );
      const input: ApplyInput = { changes, desired: [], prune: [], guards: [], single: false };
      const { document } = applyRequest(parse("global\n"), input, context, nobody);
      const { global: _, ...said } = meaning(document);
      assert.deepEqual(said, meaning(parse(text)));
    }),
    { numRuns: 200 },
  );
});

const change: fc.Arbitrary<Change> = fc
  .record({
    kind: fc.constantFrom("weight", "delete", "create", "timeout", "drop"),
    backend: fc.constantFrom("one", "two", "three"),
    server: fc.constantFrom("a", "b", "c", "d", "e"),
    weight: fc.integer({ min: 0, max: 256 }),
  })
  .map(({ kind, backend, server, weight }) => {
    const name = `backends/${backend}/servers/${server}`;
    const value = { weight };
    switch (kind) {
      case "weight":
        return changeOf({ case: "update", value: { resource: { name, kind: { case: "server", value } } } });
      case "delete":
        return changeOf({ case: "delete", value: { name } });
      case "create": {
        const created = { ...value, address: "10.1.1.1", port: 80 };
        return changeOf({
          case: "create",
          value: { resource: { name, kind: { case: "server", value: created } } },
        });
      }
      case "timeout": {
        const resource = {
          name: `backends/${backend}`,
          kind: { case: "backend" as const, value: { timeoutConnect: `${weight + 1}s` } },
        };
        return changeOf({ case: "update", value: { resource } });
      }
      default:
        return changeOf({ case: "delete", value: { name: `backends/${backend}` } });
    }
  });

function changeOf(
  operation: NonNullable<Parameters<typeof create<typeof ChangeSchema>>[1]>["operation"],
): Change {
  return create(ChangeSchema, { operation: operation! });
}

test("a change leaves the bytes of everything else as they are", () => {
  fc.assert(
    fc.property(documentText, change, (text, one) => {
      const before = parse(text);
      let changed: ReturnType<typeof applyChanges>;
      try {
        changed = applyChanges(before, [{ change: one.operation, path: "" }], [], context);
      } catch (error) {
        if (error instanceof DomainError) return;
        throw error;
      }
      const { document, done } = changed;
      const written = done[0]?.name ?? "";
      const rest = (on: Document) => {
        const { name } = { name: written.split("/servers/")[0]! };
        const found = locate(on, readResourceId(name === "" ? "global" : name, "name"));
        const lines = print(on).split("\n");
        if (found === undefined || written === "") return lines;
        const { line } = on.positionOf(found.section);
        return lines.toSpliced(line - 1, found.section.length);
      };
      if (done[0]?.type === "deleted" && !written.includes("/servers/")) {
        const lines = new Set(print(before).split("\n"));
        assert.ok(
          print(document)
            .split("\n")
            .every((line) => lines.has(line)),
        );
      } else assert.deepEqual(rest(document), rest(before));
      if (!written.includes("/servers/")) return;
      // Of the section only the one line differs.
      const [old, now] = [print(before).split("\n"), print(document).split("\n")];
      const same = (count: number, index: number) =>
        old.at(index < 0 ? index : index) === now.at(index) && count >= 0;
      let head = 0;
      while (head < Math.min(old.length, now.length) && same(0, head)) head++;
      let tail = 0;
      while (tail < Math.min(old.length, now.length) - head && same(0, -1 - tail)) tail++;
      assert.ok(old.length - head - tail <= 1 && now.length - head - tail <= 1);
    }),
    { numRuns: 500 },
  );
});

test("rolling back gives the former document, discovery's servers as they are now", () => {
  fc.assert(
    fc.property(documentText, documentText, fc.constantFrom("one", "two"), (a, b, owned) => {
      const [former, present] = [parse(a), parse(b)];
      const result = rolledBack(former, present, (backend) => backend === owned);
      const servers = (document: Document, name: string) => {
        const resource = resources(document).get(`backends/${name}`);
        return resource?.kind.case === "backend" ? resource.kind.value.servers : undefined;
      };
      for (const [name, said] of Object.entries(meaning(former)))
        if (name !== `backends/${owned}`) assert.deepEqual(meaning(result)[name], said);
      if (present.find("backend", owned).length > 0)
        assert.deepEqual(servers(result, owned), servers(present, owned));
      else assert.deepEqual(servers(result, owned), servers(former, owned));
    }),
    { numRuns: 300 },
  );
});

function keepsBackends({ operation }: Change): boolean {
  return operation.case !== "delete" || operation.value.name.includes("/servers/");
}

test("what is tried is what the commit then does", async (t) => {
  const lines = ["a", "b", "c"].map(
    (name, index) => `    server ${name} 127.0.0.1:1800${index} id ${index + 1}\n`,
  );
  const world = await commitWorld(t, scriptedHaproxy, `backend web\n${lines.join("")}`);
  const changes = fc.sample(
    fc.array(
      change.filter(keepsBackends).map((one) => {
        const renamed = JSON.stringify(toJson(ChangeSchema, one)).replaceAll(
          /backends\/(one|two|three)/g,
          "backends/web",
        );
        return JSON.parse(renamed) as object;
      }),
      { minLength: 1, maxLength: 2 },
    ),
    { numRuns: 120, seed: 7 },
  );
  const there = async () => ({
    revision: world.commit.revision,
    revisions: (await world.store.revisions.list({ limit: 1_000 })).length,
    document: print(world.commit.document),
    text: await world.text(),
    servers: await world.servers(),
    reloads: world.reloads(),
  });
  const made = { none: 0, runtime: 0, reload: 0 };
  let refused = 0;
  for (const list of changes) {
    const input: ApplyInput = {
      changes: list.map((json) => fromJson(ChangeSchema, json as never)),
      ...{ desired: [], prune: [], guards: [], single: false },
    };
    const run = (validateOnly: boolean): Promise<ChangeOutcome | string> =>
      world.commit
        .change({
          edit: {
            apply: (document) => applyRequest(document, input, context, nobody).document,
            ...{ resources: [], author: "tester", message: "changes", servers: [] },
          },
          validateOnly,
        })
        .catch((error: unknown) => {
          if (error instanceof DomainError) return `${error.reason} ${error.message}`;
          throw error;
        });
    const old = await there();
    const tried = await run(true);
    assert.deepEqual(await there(), old);
    const done = await run(false);
    if (typeof tried === "string" || typeof done === "string") {
      assert.equal(done, tried);
      assert.deepEqual(await there(), old);
      refused++;
      continue;
    }
    made[done.via]++;
    const told = ({ via, reasons, commands, warnings, before, after }: ChangeOutcome) => ({
      ...{ via, reasons, commands, warnings, before: print(before), after: print(after) },
    });
    assert.deepEqual(told(done), told(tried));
    assert.equal(await world.text(), print(done.after));
    const isChanged = print(tried.after) !== print(tried.before);
    const { revision, revisions, reloads } = await there();
    const [more, again] = [Number(isChanged), Number(done.via === "reload")];
    assert.equal(tried.revision, old.revision);
    assert.deepEqual(
      { done: done.revision, revision, revisions, reloads },
      {
        ...{ done: old.revision + more, revision: old.revision + more },
        ...{ revisions: old.revisions + more, reloads: old.reloads + again },
      },
    );
    const diff = unifiedDiff(tried.before, tried.after);
    assert.equal(isChanged, diff !== "");
    if (isChanged) assert.equal((await getRevision(world.store, `revisions/${revision}`)).diff, diff);
  }
  t.diagnostic(`refused ${refused}, made ${JSON.stringify(made)}`);
  assert.ok(Math.min(refused, made.runtime, made.reload) > 5, "changes of some kind are missing");
});

test("50 writers on disjoint backends all succeed, without a retry, and none is lost", async (t) => {
  const names = Array.from({ length: 50 }, (_, index) => `b${index}`);
  const text = names.map((name) => `backend ${name}\n    server s 127.0.0.1:18001 weight 1\n\n`).join("");
  const world = await commitWorld(t, scriptedHaproxy, text);
  const before = world.reloads();
  await Promise.all(
    names.map((name, index) => {
      const input: ApplyInput = {
        changes: [
          changeOf({
            case: "update",
            value: {
              resource: {
                ...{ name: `backends/${name}`, etag: "" },
                kind: { case: "backend", value: { timeoutServer: `${index + 1}s` } },
              },
            },
          }),
        ],
        ...{ desired: [], prune: [], guards: [], single: true },
      };
      return world.commit.change({
        edit: {
          apply: (document) => applyRequest(document, input, context, nobody).document,
          ...{ resources: [`backends/${name}`], author: `writer ${index}`, message: "times", servers: [] },
        },
      });
    }),
  );
  const document = parse(await world.text());
  for (const [index, name] of names.entries()) {
    const resource = resources(document).get(`backends/${name}`);
    assert.equal(resource?.kind.case === "backend" && resource.kind.value.timeoutServer, `${index + 1}s`);
  }
  assert.ok(world.reloads() - before <= 5, `${world.reloads() - before} reloads`);
});

test("a request with more changes than a large file has backends is refused as a whole", () => {
  const input: ApplyInput = { changes: [], desired: [], prune: [], guards: [], single: false };
  const nothing = changeOf({ case: undefined });
  const resource = create(ResourceSchema, { name: "backends/x" });
  for (const large of [
    { ...input, changes: Array(50_001).fill(nothing) },
    { ...input, desired: Array(50_001).fill(resource) },
  ]) {
    assert.throws(
      () => applyRequest(parse("backend x\n"), large, context, nobody),
      (error) => error instanceof DomainError && error.reason === "LIMIT_EXCEEDED",
    );
  }
});

test("of 10,000 changes the one that is wrong is named, and none is made", () => {
  const servers = Array.from({ length: 10_000 }, (_, index) => `  server s${index} 10.0.0.1:80\n`).join("");
  const document = parse(`backend many\n${servers}`);
  const changes = Array.from({ length: 10_000 }, (_, index) =>
    changeOf({
      case: "update",
      value: {
        resource: {
          name: `backends/many/servers/s${index}`,
          kind: { case: "server", value: { weight: index === 7_654 ? 257 : 9 } },
        },
      },
    }),
  );
  const input: ApplyInput = { changes, desired: [], prune: [], guards: [], single: false };
  assert.throws(
    () => applyRequest(document, input, context, nobody),
    (error) => {
      assert.ok(error instanceof DomainError);
      assert.equal(error.violations[0]?.field, "changes[7654].update.resource.server.weight");
      return true;
    },
  );
});

/** What people write besides backends: defaults with and without a name, frontends with binds and ACLs, `listen`, lines that no field stands for, either line ending. */
const wholeText = fc
  .record({
    named: fc.boolean(),
    newline: fc.constantFrom("\n", "\r\n"),
    timeout: fc.integer({ min: 1, max: 9 }),
    frontend: fc.subarray(
      [
        "  bind :8080  # plain",
        "  bind :8443 name tls",
        "  # who may",
        "  acl local src 127.0.0.1",
        "  acl api path_beg /api",
        "  http-request deny if !local",
        '  http-request set-header X-A "a b"',
        "  no-such-keyword 1 2",
        "  use_backend one if api",
        "  default_backend one",
      ],
      { minLength: 1 },
    ),
    listen: fc.option(
      fc.subarray([
        "  bind :9000",
        "  server s 10.0.0.9:1 check",
        "  tcp-check expect !string ERR",
        "  other x",
      ]),
    ),
    one: body,
  })
  .map(({ named, newline, timeout, frontend, listen, one }) =>
    [
      ...[
        "# top",
        "global",
        "  maxconn 100",
        "",
        "# what all inherit",
        "defaults",
        `  timeout client ${timeout}s`,
      ],
      ...(named ? ["", "defaults base", `  timeout server ${timeout}s`] : []),
      ...["", `frontend web${named ? " from base" : ""}`, ...frontend],
      ...(listen === null ? [] : ["", "listen stats", ...listen]),
      ...[
        "",
        `backend one${named ? " from base" : ""}`,
        ...one.map((line) => line.trimEnd()),
        "# the end",
        "",
      ],
    ].join(newline),
  );

test("applying what a whole other file says makes the file say it, and a second time changes no byte", () => {
  const pruned = [
    "backends",
    "frontends",
    "listens",
    "defaults",
    "backends/-/servers",
    "frontends/-/binds",
    "listens/-/binds",
    "listens/-/servers",
  ];
  let reached = 0;
  fc.assert(
    fc.property(wholeText, wholeText, (a, b) => {
      const target = parse(b);
      assert.equal(print(target), b);
      // Lines that no field stands for are taken from nobody's desired state.
      const without = (document: Document) =>
        JSON.parse(
          JSON.stringify(meaning(document), (key, value) => (key === "unmodelledLines" ? undefined : value)),
        ) as unknown;
      const input = desired(target, pruned);
      let first: ReturnType<typeof applyRequest>;
      try {
        first = applyRequest(parse(a), input, context, nobody);
      } catch (error) {
        // A proxy that would come to stand below other defaults without naming them is refused.
        if (error instanceof DomainError && /from_defaults|inherits/.test(error.message)) return;
        throw error;
      }
      reached++;
      assert.deepEqual(without(first.document), without(target));
      assert.equal(applyRequest(first.document, input, context, nobody).document, first.document);
    }),
    { numRuns: 200 },
  );
  assert.ok(reached > 100, `only ${reached} pairs could be applied`);
});

test("prune leaves alone what service discovery owns: its servers, and its backends", () => {
  const text = "backend own\n  server a 10.0.0.1:80\n\nbackend theirs\n  server b 10.0.0.2:80\n";
  const resource = create(ResourceSchema, { name: "backends/theirs" });
  resource.kind = {
    case: "backend",
    value: create(ProxySchema, { timeoutServer: "9s", servers: [{ name: "mine", address: "10.0.0.3" }] }),
  };
  const input = { changes: [], guards: [], single: false };
  const theirs = (backend: string) => backend === "theirs";
  const pruned = applyRequest(
    parse(text),
    { ...input, desired: [resource], prune: ["backends", "backends/-/servers"] },
    context,
    theirs,
  ).document;
  assert.equal(pruned.find("backend", "own").length, 0);
  assert.match(print(pruned), /^backend theirs\n {2}server b 10\.0\.0\.2:80\n/m);
  assert.match(print(pruned), /timeout server 9s/);
  assert.doesNotMatch(print(pruned), /mine/);
  // The same without an owner takes it away.
  const all = applyRequest(parse(text), { ...input, desired: [], prune: ["backends"] }, context, nobody);
  assert.doesNotMatch(print(all.document), /backend/);
});

test("an etag is no oracle: under another installation's key the same lines have another", () => {
  const located = locate(
    parse("userlist ops\n  user tom insecure-password hunter2\n"),
    readResourceId("userlists/ops", "name"),
  )!;
  const other = createEtags(Buffer.alloc(32, 4));
  assert.equal(etags.of(located), createEtags(Buffer.alloc(32, 3)).of(located));
  assert.notEqual(etags.of(located), other.of(located));
});
