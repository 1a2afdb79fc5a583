import assert from "node:assert/strict";
import { test } from "node:test";
import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { ChangeSchema, GuardSchema } from "../../gen/haplane/v1/configuration_pb.js";
import { DomainError } from "../lib/errors.ts";
import { Document } from "../text/document.ts";
import { applyChanges } from "./apply-changes.ts";
import { createEtags } from "./etag.ts";
import { locate, readResourceId } from "./locate.ts";
import { createResourceReader } from "./read-resource.ts";

const etags = createEtags(Buffer.alloc(32, 7));
const reader = createResourceReader(etags);
const parse = (text: string) => Document.parse([{ path: "haproxy.cfg", bytes: Buffer.from(text) }]);
const print = (document: Document) => document.print(0).toString();
const read = (document: Document, name: string) => {
  const located = locate(document, readResourceId(name, "name"));
  return located === undefined ? undefined : reader.read(located, false);
};

const BASE = `# ours
global
    maxconn 100
    stats socket /run/h.sock

defaults
    mode http
    timeout connect 5s

userlist ops
    user tom insecure-password secret groups g

frontend web
    bind :80
    bind :443 name tls ssl crt /etc/a.pem
    acl is_api path_beg /api   # the api
    use_backend api if is_api
    use_backend %[req.hdr(host)]
    default_backend site

backend site
    default-server check
    server a 10.0.0.1:80 weight 5   # first
    server b 10.0.0.2:80 track a

backend api
    balance leastconn
    server x 10.0.1.1:80
`;

function apply(changes: JsonValue[], text = BASE, guards: JsonValue[] = []) {
  return applyChanges(
    parse(text),
    changes.map((json, index) => ({
      change: fromJson(ChangeSchema, json).operation,
      path: changes.length === 1 ? "" : `changes[${index}]`,
    })),
    guards.map((json) => fromJson(GuardSchema, json)),
    { etags, version: { major: 2, minor: 6 }, etagsCount: true },
  );
}

const etagOf = (name: string, text = BASE) => read(parse(text), name)!.etag;

interface Edited {
  readonly what: string;
  readonly changes: JsonValue[];
  readonly text?: string;
  /** Each is replaced in the text before. */
  readonly becomes: readonly (readonly [string, string])[];
}

const EDITED: readonly Edited[] = [
  {
    what: "a server's weight, in place",
    changes: [
      {
        update: {
          resource: { name: "backends/site/servers/a", server: { weight: 7 } },
          updateMask: "weight",
        },
      },
    ],
    becomes: [["weight 5 ", "weight 7 "]],
  },
  {
    what: "a new server, behind the conditional block of the last",
    text: "backend web\n  .if 1\n  server a :1\n  .endif\n",
    changes: [{ create: { resource: { name: "backends/web/servers/b", server: { address: "1.1.1.1" } } } }],
    becomes: [["  .endif\n", "  .endif\n  server b 1.1.1.1\n"]],
  },
  {
    what: "what servers depend on, above the conditional block of the first",
    text: "backend web\n  # own\n  .if 1\n  server a :1\n  .endif\n  server b :2\n",
    changes: [
      { update: { resource: { name: "backends/web", backend: { defaultServers: [{ check: true }] } } } },
    ],
    becomes: [["  .if 1\n", "  default-server check\n  .if 1\n"]],
  },
  {
    what: "an ACL, above the conditional block of its first use",
    text: "frontend web\n  mode http\n  .if 1\n  use_backend b if x\n  .endif\nbackend b\n",
    changes: [
      {
        update: {
          resource: { name: "frontends/web", frontend: { acls: [{ name: "x", criterion: "always_true" }] } },
        },
      },
    ],
    becomes: [["  .if 1\n", "  acl x always_true\n  .if 1\n"]],
  },
  {
    what: "a section goes with the comments among its lines; those above its header and behind its last line stay",
    text: "# top\n\n# about one\nbackend one\n  # its server\n  server a :1\n  # the end of one\n\n# about two\nbackend two\n",
    changes: [{ delete: { name: "backends/one" } }],
    becomes: [["backend one\n  # its server\n  server a :1\n", ""]],
  },
  {
    what: "a rule beside one whose value has a line break",
    text: 'backend web\n  http-request set-header x "a\\nb"\n  http-request set-header y 1\n',
    changes: [
      {
        update: {
          resource: {
            name: "backends/web",
            backend: {
              httpRequestRules: [
                { setHeader: { name: "x", format: "a\nb" } },
                { setHeader: { name: "y", format: "2" } },
              ],
            },
          },
        },
      },
    ],
    becomes: [["set-header y 1", "set-header y 2"]],
  },
  {
    what: "a rule with a ! that is joined to the word behind it, which stays so",
    text: "backend web\n  tcp-check expect min-recv 5   !string ERR # no\n",
    changes: [
      {
        update: {
          resource: {
            name: "backends/web",
            backend: { tcpCheckRules: [{ expect: { minRecv: 7, negated: true, string: "ERR" } }] },
          },
        },
      },
    ],
    becomes: [["min-recv 5", "min-recv 7"]],
  },
  {
    what: "a directive of a section that a block follows which holds the next one",
    text: "backend web\n  option httpchk\n  server a :1\n\n.if 1\nbackend other\n.endif\n",
    changes: [{ update: { resource: { name: "backends/web", backend: { timeoutServer: "7s" } } } }],
    becomes: [["  option httpchk\n", "  option httpchk\n  timeout server 7s\n"]],
  },
  {
    what: "a new global, above the block that the file begins with",
    text: ".if 1\nbackend web\n.endif\n",
    changes: [{ create: { resource: { name: "global", global: { maxconn: 5 } } } }],
    becomes: [[".if 1\n", "global\n    maxconn 5\n.if 1\n"]],
  },
  {
    what: "without a mask what is set is taken",
    changes: [{ update: { resource: { name: "backends/site/servers/a", server: { weight: 7 } } } }],
    becomes: [["weight 5 ", "weight 7 "]],
  },
  {
    what: "with * what is left out goes",
    changes: [
      {
        update: {
          resource: { name: "backends/site/servers/a", server: { address: "10.0.0.9", port: 80 } },
          updateMask: "*",
        },
      },
    ],
    becomes: [["10.0.0.1:80 weight 5", "10.0.0.9:80"]],
  },
  {
    what: "a field of a section",
    changes: [
      {
        update: {
          resource: { name: "backends/api", backend: { timeoutServer: "3s" } },
          updateMask: "timeoutServer",
        },
      },
    ],
    becomes: [["    balance leastconn\n", "    timeout server 3s\n    balance leastconn\n"]],
  },
  {
    what: "* on a section leaves its servers",
    changes: [{ update: { resource: { name: "backends/api", backend: {} }, updateMask: "*" } }],
    becomes: [["    balance leastconn\n", ""]],
  },
  {
    what: "servers replaced by mask",
    changes: [
      {
        update: {
          resource: {
            name: "backends/api",
            backend: {
              servers: [
                { name: "x", address: "10.0.1.1", port: 81 },
                { name: "y", address: "10.0.1.2", port: 80 },
              ],
            },
          },
          updateMask: "servers",
        },
      },
    ],
    becomes: [["10.0.1.1:80\n", "10.0.1.1:81\n    server y 10.0.1.2:80\n"]],
  },
  {
    what: "a password that is left out stays",
    changes: [
      {
        update: {
          resource: {
            name: "userlists/ops",
            userlist: {
              users: [
                { name: "tom", groups: ["g"] },
                { name: "eve", password: "x" },
              ],
            },
          },
          updateMask: "users",
        },
      },
    ],
    becomes: [["secret groups g\n", "secret groups g\n    user eve password x\n"]],
  },
  {
    what: "a new server behind the last",
    changes: [
      {
        create: { resource: { name: "backends/site/servers/c", server: { address: "10.0.0.3", port: 80 } } },
      },
    ],
    becomes: [["track a\n", "track a\n    server c 10.0.0.3:80\n"]],
  },
  {
    what: "a new server behind another",
    changes: [
      {
        create: {
          resource: { name: "backends/site/servers/c", server: { address: "10.0.0.3", port: 80 } },
          after: "backends/site/servers/a",
        },
      },
    ],
    becomes: [["# first\n", "# first\n    server c 10.0.0.3:80\n"]],
  },
  {
    what: "a new bind, named after its address",
    changes: [{ create: { resource: { name: "frontends/web/binds/@:81", bind: { addresses: [":81"] } } } }],
    becomes: [["a.pem\n", "a.pem\n    bind :81\n"]],
  },
  {
    what: "a bind gets a name",
    changes: [{ update: { resource: { name: "frontends/web/binds/@:80", bind: { name: "plain" } } } }],
    becomes: [["bind :80\n", "bind :80 name plain\n"]],
  },
  {
    what: "a backend and the route to it at once",
    changes: [
      { update: { resource: { name: "frontends/web", frontend: { defaultBackend: "new" } } } },
      {
        create: {
          resource: {
            name: "backends/new",
            backend: { servers: [{ name: "s", address: "127.0.0.1", port: 1 }] },
          },
        },
      },
    ],
    becomes: [
      ["default_backend site", "default_backend new"],
      ["10.0.1.1:80\n", "10.0.1.1:80\n\nbackend new\n    server s 127.0.0.1:1\n"],
    ],
  },
  {
    what: "a section behind another",
    changes: [
      {
        create: {
          resource: { name: "backends/new", backend: { timeoutServer: "1s" } },
          after: "backends/site",
        },
      },
    ],
    becomes: [["track a\n", "track a\n\nbackend new\n    timeout server 1s\n"]],
  },
  {
    what: "a backend with the rule that named it",
    changes: [
      {
        list: {
          name: "frontends/web",
          etag: etagOf("frontends/web"),
          field: "use_backend_rules",
          remove: { index: 0 },
        },
      },
      { delete: { name: "backends/api" } },
    ],
    becomes: [
      ["    use_backend api if is_api\n", ""],
      ["backend api\n    balance leastconn\n    server x 10.0.1.1:80\n", ""],
    ],
  },
  {
    what: "a rule in front",
    changes: [
      {
        list: {
          name: "frontends/web",
          etag: etagOf("frontends/web"),
          field: "use_backend_rules",
          insert: {
            index: 0,
            elements: { frontend: { useBackendRules: [{ backend: "site", condition: "if { path /x }" }] } },
          },
        },
      },
    ],
    becomes: [["    use_backend api", "    use_backend site if { path /x }\n    use_backend api"]],
  },
  {
    what: "rules moved",
    changes: [
      {
        list: {
          name: "frontends/web",
          etag: etagOf("frontends/web"),
          field: "use_backend_rules",
          move: { from: 1, to: 0 },
        },
      },
    ],
    becomes: [
      [
        "    use_backend api if is_api\n    use_backend %[req.hdr(host)]\n",
        "    use_backend %[req.hdr(host)]\n    use_backend api if is_api\n",
      ],
    ],
  },
  {
    what: "two lists of a section by turns, each as the change before left it",
    changes: [
      listChange("acls", { insert: insertion(1, { acls: [acl("one")] }) }),
      listChange("use_backend_rules", { insert: insertion(9, { useBackendRules: [{ backend: "site" }] }) }),
      listChange("acls", { insert: insertion(2, { acls: [acl("two")] }) }),
      listChange("use_backend_rules", { move: { from: 2, to: 0 } }),
      listChange("acls", { move: { from: 1, to: 2 } }),
    ],
    becomes: [
      [
        "    acl is_api path_beg /api   # the api\n",
        "    acl is_api path_beg /api   # the api\n    acl two path_beg /two\n    acl one path_beg /one\n",
      ],
      ["    use_backend api if", "    use_backend site\n    use_backend api if"],
    ],
  },
  {
    what: "nothing by a rule that comes and goes",
    changes: [
      listChange("acls", { insert: insertion(0, { acls: [acl("one")] }) }),
      listChange("acls", { remove: { index: 0 } }),
    ],
    becomes: [],
  },
  {
    what: "nothing, twice",
    changes: [
      { delete: { name: "backends/none", allowMissing: true } },
      { update: { resource: { name: "backends/site/servers/a", server: { weight: 5 } } } },
    ],
    becomes: [],
  },
];

for (const { what, changes, text = BASE, becomes } of EDITED) {
  test(`changed: ${what}`, () => {
    let expected = text;
    for (const [from, to] of becomes) {
      assert.ok(expected.includes(from), from);
      expected = expected.replace(from, () => to);
    }
    assert.equal(print(apply(changes, text).document), expected);
  });
}

test("what is done to a list and undone again is no change", () => {
  const came = [
    listChange("acls", { insert: insertion(0, { acls: [acl("one")] }) }),
    listChange("acls", { remove: { index: 0 } }),
  ];
  assert.deepEqual(apply(came).done, []);
  const { document, done } = apply([{ delete: { name: "backends/none", allowMissing: true } }, came[0]!]);
  assert.deepEqual(
    done.map(({ type, name }) => [type, name]),
    [["updated", "frontends/web"]],
  );
  assert.equal(done[0]!.etag, read(document, "frontends/web")!.etag);
});

function listChange(field: string, edit: Readonly<Record<string, JsonValue>>): JsonValue {
  return { list: { name: "frontends/web", etag: etagOf("frontends/web"), field, ...edit } };
}

function insertion(index: number, frontend: JsonValue): JsonValue {
  return { index, elements: { frontend } };
}

function acl(name: string): JsonValue {
  return { name, criterion: "path_beg", patterns: `/${name}` };
}

interface Refused {
  readonly what: string;
  readonly changes: JsonValue[];
  readonly text?: string;
  readonly guards?: JsonValue[];
  readonly reason: string;
  readonly field?: string;
}

const long = "x".repeat(1024);
const TWICE =
  "backend web\n server a :1\nbackend web\n server b :1\nbackend one\n server a :1\n server a :2\n";
const REFUSED: readonly Refused[] = [
  {
    what: "a new section with a hidden line",
    changes: [
      {
        create: {
          resource: { name: "userlists/new", userlist: { unmodelledLines: [{ text: "user a … b" }] } },
        },
      },
    ],
    reason: "FIELD_INVALID",
    field: "resource.userlist.unmodelled_lines[0].text",
  },
  {
    what: "a new section with a blank line",
    changes: [
      { create: { resource: { name: "backends/new", backend: { unmodelledLines: [{ text: " " }] } } } },
    ],
    reason: "FIELD_INVALID",
    field: "resource.backend.unmodelled_lines[0].text",
  },
  {
    what: "a name of no collection",
    changes: [{ delete: { name: "things/a" } }],
    reason: "FIELD_INVALID",
    field: "name",
  },
  {
    what: "a name with a slash",
    changes: [{ delete: { name: "backends/a/b" } }],
    reason: "FIELD_INVALID",
    field: "name",
  },
  {
    what: "a wrong percent",
    changes: [{ delete: { name: "backends/a%2" } }],
    reason: "FIELD_INVALID",
    field: "name",
  },
  { what: "an unknown name", changes: [{ delete: { name: "backends/none" } }], reason: "RESOURCE_NOT_FOUND" },
  {
    what: "a name of 1 KB",
    changes: [{ delete: { name: `backends/${long}` } }],
    reason: "RESOURCE_NOT_FOUND",
  },
  {
    what: "a new name with a space",
    changes: [{ create: { resource: { name: "backends/a%20b", backend: {} } } }],
    reason: "FIELD_INVALID",
    field: "resource.backend.name",
  },
  {
    what: "a new server's name with a slash",
    changes: [
      { create: { resource: { name: "backends/api/servers/a%2Fb", server: { address: "1.1.1.1" } } } },
    ],
    reason: "FIELD_INVALID",
    field: "resource.server.name",
  },
  {
    what: "what is there",
    changes: [{ create: { resource: { name: "backends/api", backend: {} } } }],
    reason: "RESOURCE_EXISTS",
  },
  {
    what: "the wrong kind",
    changes: [{ create: { resource: { name: "backends/new", frontend: {} } } }],
    reason: "FIELD_INVALID",
    field: "resource.kind",
  },
  {
    what: "another name in the message",
    changes: [{ update: { resource: { name: "backends/api", backend: { name: "other" } } } }],
    reason: "FIELD_INVALID",
    field: "resource.backend.name",
  },
  {
    what: "a wrong value",
    changes: [{ update: { resource: { name: "backends/api", backend: { timeoutServer: "soon" } } } }],
    reason: "FIELD_INVALID",
    field: "resource.backend.timeout_server",
  },
  {
    what: "a wrong value of a server, in a batch",
    changes: [
      { delete: { name: "backends/none", allowMissing: true } },
      { update: { resource: { name: "backends/api/servers/x", server: { weight: 300 } } } },
    ],
    reason: "FIELD_INVALID",
    field: "changes[1].resource.server.weight",
  },
  {
    what: "what a backend cannot have",
    changes: [{ update: { resource: { name: "backends/api", backend: { defaultBackend: "site" } } } }],
    reason: "FIELD_INVALID",
    field: "resource.backend.default_backend",
  },
  {
    what: "what HAProxy does not have yet",
    changes: [
      { update: { resource: { name: "backends/api", backend: { optionForwarded: { proto: true } } } } },
    ],
    reason: "NOT_SUPPORTED",
    field: "resource.backend.option_forwarded",
  },
  {
    what: "a mask of no field",
    changes: [{ update: { resource: { name: "backends/api", backend: {} }, updateMask: "nonsense" } }],
    reason: "FIELD_INVALID",
    field: "update_mask",
  },
  {
    what: "a mask into a list",
    changes: [{ update: { resource: { name: "backends/api", backend: {} }, updateMask: "servers.weight" } }],
    reason: "FIELD_INVALID",
    field: "update_mask",
  },
  {
    what: "a stale etag",
    changes: [{ update: { resource: { name: "backends/api", etag: "stale", backend: {} } } }],
    reason: "ETAG_MISMATCH",
  },
  {
    what: "a stale etag of a deletion",
    changes: [{ delete: { name: "backends/api", etag: "stale" } }],
    reason: "ETAG_MISMATCH",
  },
  {
    what: "a stale guard",
    changes: [{ update: { resource: { name: "backends/api/servers/x", server: { weight: 2 } } } }],
    guards: [{ name: "frontends/web", etag: "stale" }],
    reason: "ETAG_MISMATCH",
  },
  {
    what: "a route to nowhere",
    changes: [{ update: { resource: { name: "frontends/web", frontend: { defaultBackend: "none" } } } }],
    reason: "REFERENCE_MISSING",
    field: "resource.frontend.default_backend",
  },
  {
    what: "a rule to nowhere",
    changes: [
      {
        update: {
          resource: {
            name: "frontends/web",
            frontend: { useBackendRules: [{ backend: "site" }, { backend: "none" }] },
          },
        },
      },
    ],
    reason: "REFERENCE_MISSING",
    field: "resource.frontend.use_backend_rules[1].backend",
  },
  {
    what: "defaults that are not there",
    changes: [{ create: { resource: { name: "backends/new", backend: { fromDefaults: "none" } } } }],
    reason: "REFERENCE_MISSING",
    field: "resource.backend.from_defaults",
  },
  {
    what: "a tracked server that is not there",
    changes: [{ update: { resource: { name: "backends/api/servers/x", server: { track: "site/none" } } } }],
    reason: "REFERENCE_MISSING",
    field: "resource.server.track",
  },
  {
    what: "a backend in use",
    changes: [{ delete: { name: "backends/site" } }],
    reason: "RESOURCE_IN_USE",
    field: "frontends/web",
  },
  {
    what: "a tracked server",
    changes: [{ delete: { name: "backends/site/servers/a" } }],
    reason: "RESOURCE_IN_USE",
    field: "backends/site/servers/b",
  },
  {
    what: "defaults with heirs",
    changes: [{ delete: { name: "defaults/@1" } }],
    reason: "RESOURCE_IN_USE",
    field: "frontends/web",
  },
  {
    what: "defaults that would get heirs",
    changes: [{ create: { resource: { name: "defaults/new", defaults: {} } } }],
    reason: "FIELD_INVALID",
    field: "after",
  },
  {
    what: "a name that stands twice",
    changes: [{ delete: { name: "backends/web" } }],
    text: TWICE,
    reason: "RESOURCE_AMBIGUOUS",
  },
  {
    what: "a server in a section that stands twice",
    changes: [{ update: { resource: { name: "backends/web/servers/a", server: { weight: 1 } } } }],
    text: TWICE,
    reason: "RESOURCE_AMBIGUOUS",
  },
  {
    what: "a server that stands twice",
    changes: [{ delete: { name: "backends/one/servers/a" } }],
    text: TWICE,
    reason: "RESOURCE_AMBIGUOUS",
  },
  {
    what: "a section in a conditional block",
    changes: [{ delete: { name: "backends/web" } }],
    text: ".if 1\nbackend web\n.endif\n",
    reason: "RESOURCE_AMBIGUOUS",
  },
  {
    what: "a section among whose lines a conditional block begins that ends in another",
    changes: [{ delete: { name: "backends/web" } }],
    text: "backend web\n.if 1\n mode tcp\nbackend other\n.endif\n",
    reason: "RESOURCE_AMBIGUOUS",
  },
  {
    what: "a server in a conditional block",
    changes: [{ delete: { name: "backends/web/servers/a" } }],
    text: "backend web\n.if 1\n server a :1\n.endif\n server b :1\n",
    reason: "RESOURCE_AMBIGUOUS",
  },
  {
    what: "a list without etag",
    changes: [{ list: { name: "frontends/web", field: "acls", remove: { index: 0 } } }],
    reason: "FIELD_INVALID",
    field: "etag",
  },
  {
    what: "a list that is none",
    changes: [
      { list: { name: "frontends/web", etag: etagOf("frontends/web"), field: "mode", remove: { index: 0 } } },
    ],
    reason: "FIELD_INVALID",
    field: "field",
  },
  {
    what: "a position outside of the list",
    changes: [
      { list: { name: "frontends/web", etag: etagOf("frontends/web"), field: "acls", remove: { index: 1 } } },
    ],
    reason: "FIELD_INVALID",
    field: "remove.index",
  },
  {
    what: "an element for a list beside another list",
    changes: [
      listChange("acls", {
        insert: insertion(0, { acls: [acl("one")], useBackendRules: [{ backend: "site" }] }),
      }),
    ],
    reason: "FIELD_INVALID",
    field: "insert.elements.frontend.use_backend_rules",
  },
  {
    what: "no elements where some are to be inserted",
    changes: [listChange("acls", { insert: insertion(0, {}) })],
    reason: "FIELD_INVALID",
    field: "insert.elements.frontend.acls",
  },
  {
    what: "an element that cannot be written, of several, by its place in the request",
    changes: [
      listChange("acls", { insert: insertion(0, { acls: [acl("one"), acl("two\nlines")] }) }),
      listChange("acls", { remove: { index: 0 } }),
    ],
    reason: "FIELD_INVALID",
    field: "changes[0].insert.elements.frontend.acls[1].name",
  },
];

for (const { what, changes, text = BASE, guards = [], reason, field } of REFUSED) {
  test(`refused: ${what}`, () => {
    assert.throws(
      () => apply(changes, text, guards),
      (error) => {
        assert.ok(error instanceof DomainError, String(error));
        assert.equal(error.reason, reason, error.message);
        if (field !== undefined) assert.equal(error.violations[0]?.field, field);
        return true;
      },
    );
  });
}

test("an etag changes with the resource's own lines alone", () => {
  const after = print(
    apply([{ update: { resource: { name: "backends/site/servers/a", server: { weight: 7 } } } }]).document,
  );
  assert.equal(etagOf("backends/site", after), etagOf("backends/site"));
  assert.equal(etagOf("backends/site/servers/b", after), etagOf("backends/site/servers/b"));
  assert.notEqual(etagOf("backends/site/servers/a", after), etagOf("backends/site/servers/a"));
});

test("secrets are not read", () => {
  assert.ok(!JSON.stringify(read(parse(BASE), "userlists/ops")).includes("secret"));
});
