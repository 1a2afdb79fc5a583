import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Document } from "../text/document.ts";
import { fixedWords, serversOf } from "./server.ts";
import { addBackend, addServers, editServer, removeServers, type ServerEdit } from "./server-edits.ts";

const parse = (text: string) => Document.parse([{ path: "haproxy.cfg", bytes: Buffer.from(text) }]);
const print = (document: Document) => document.print(0).toString();

const BEFORE = `defaults
  mode http

# the web
backend web
  default-server inter 2s
  server   a  127.0.0.1:80 check   # the first
  server b [::1]:81 id 2 weight 5 maxconn 10

  # next comes api
backend api
  balance leastconn
`;

const EDITS: readonly {
  readonly edit: ServerEdit;
  readonly backend: string;
  readonly replace: readonly [string, string];
}[] = [
  {
    backend: "web",
    edit: { kind: "add", name: "c", address: "10.0.0.1", port: 8080, weight: 1, id: 3 },
    replace: ["maxconn 10\n", "maxconn 10\n  server c 10.0.0.1:8080 id 3\n"],
  },
  {
    backend: "web",
    edit: { kind: "add", name: "c", address: "fe80::1", port: 8080, weight: 20, id: 3 },
    replace: ["maxconn 10\n", "maxconn 10\n  server c [fe80::1]:8080 id 3 weight 20\n"],
  },
  {
    backend: "api",
    edit: { kind: "add", name: "x", address: "10.0.0.1", port: 1, weight: 0, id: 1 },
    replace: ["leastconn\n", "leastconn\n  server x 10.0.0.1:1 id 1 weight 0\n"],
  },
  {
    backend: "web",
    edit: { kind: "set-address", name: "a", address: "10.0.0.2", port: 90 },
    replace: ["127.0.0.1:80", "10.0.0.2:90"],
  },
  { backend: "web", edit: { kind: "set-weight", name: "b", weight: 6 }, replace: ["weight 5", "weight 6"] },
  {
    backend: "web",
    edit: { kind: "set-weight", name: "a", weight: 6 },
    replace: ["check   #", "check weight 6   #"],
  },
  {
    backend: "web",
    edit: { kind: "remove", name: "b" },
    replace: ["  server b [::1]:81 id 2 weight 5 maxconn 10\n", ""],
  },
];

for (const { backend, edit, replace } of EDITS) {
  test(`${edit.kind} ${edit.name} in ${backend} touches its own line only`, () => {
    assert.ok(BEFORE.includes(replace[0]));
    assert.equal(print(editServer(parse(BEFORE), backend, edit)), BEFORE.replace(...replace));
  });
}

/** Lines on which a keyword is the value of another, and what they say. */
const READ: readonly {
  readonly line: string;
  readonly weight?: number;
  readonly id?: number;
  readonly disabled?: boolean;
  readonly fixed: string;
  /** With the weight 9. */
  readonly weighted: string;
}[] = [
  { line: "cookie disabled", fixed: "cookie disabled", weighted: "cookie disabled weight 9" },
  { line: "cookie weight check", fixed: "cookie weight check", weighted: "cookie weight check weight 9" },
  {
    line: "cookie weight weight 3 check",
    weight: 3,
    fixed: "cookie weight check",
    weighted: "cookie weight weight 9 check",
  },
  { line: "cookie id id 4", id: 4, fixed: "cookie id id 4", weighted: "cookie id id 4 weight 9" },
  {
    line: "cookie enabled disabled",
    disabled: true,
    fixed: "cookie enabled",
    weighted: "cookie enabled disabled weight 9",
  },
  {
    line: "namespace weight weight 2 disabled",
    weight: 2,
    disabled: true,
    fixed: "namespace weight",
    weighted: "namespace weight weight 9 disabled",
  },
  { line: "id 4 weight 3 check", id: 4, weight: 3, fixed: "id 4 check", weighted: "id 4 weight 9 check" },
  { line: "disabled check enabled", fixed: "check", weighted: "disabled check enabled weight 9" },
  {
    line: "maxconn 5 inter 2s id 3 weight 3",
    ...{ weight: 3, id: 3, fixed: "maxconn 5 inter 2s id 3", weighted: "maxconn 5 inter 2s id 3 weight 9" },
  },
  { line: "inter 2s weight 3", weight: 3, fixed: "inter 2s", weighted: "inter 2s weight 9" },
  { line: "weight 3 inter 2s weight 4", weight: 4, fixed: "inter 2s", weighted: "inter 2s weight 9" },
];

for (const { line, weight, id, disabled = false, fixed, weighted } of READ) {
  test(`a server with ${line}`, () => {
    const textOf = (words: string) => `backend web\n  server a 10.0.0.1:80 ${words}\n`;
    const document = parse(textOf(line));
    const server = serversOf(document.find("backend", "web")[0]!)[0]!;
    assert.deepEqual(
      {
        weight: server.weight,
        id: server.id,
        disabled: server.disabled,
        fixed: fixedWords(server).join(" "),
      },
      { weight, id, disabled, fixed },
    );
    const edit: ServerEdit = { kind: "set-weight", name: "a", weight: 9 };
    assert.equal(print(editServer(document, "web", edit)), textOf(weighted));
  });
}

test("a server goes behind the conditional block that holds the last one", () => {
  const block = "  .if defined(X)\n  server a :1\n  .endif\n";
  const edit: ServerEdit = { kind: "add", name: "b", address: "127.0.0.1", port: 2, weight: 1, id: 7 };
  const added = "  server b 127.0.0.1:2 id 7\n";
  for (const [before, after] of [
    [`backend web\n${block}  mode http\n`, `backend web\n${block}${added}  mode http\n`],
    [
      "backend web\n  mode tcp\n.if 1\n  server a :1\nbackend w\n.endif\n",
      `backend web\n  mode tcp\n${added}.if 1\n  server a :1\nbackend w\n.endif\n`,
    ],
  ] as const)
    assert.equal(print(editServer(parse(before), "web", edit)), after);
});

const REFUSED: readonly {
  readonly why: string;
  readonly text?: string;
  readonly backend: string;
  readonly edit: ServerEdit;
}[] = [
  { why: "RESOURCE_NOT_FOUND", backend: "none", edit: { kind: "remove", name: "a" } },
  { why: "RESOURCE_NOT_FOUND", backend: "web", edit: { kind: "remove", name: "z" } },
  {
    why: "RESOURCE_EXISTS",
    backend: "web",
    edit: { kind: "add", name: "a", address: "127.0.0.1", port: 1, weight: 1, id: 9 },
  },
  {
    why: "FIELD_INVALID",
    backend: "web",
    edit: { kind: "add", name: "x", address: "127.0.0.1\n", port: 1, weight: 1, id: 9 },
  },
  {
    why: "RESOURCE_NOT_FOUND",
    text: "backend web\n server a :1\nbackend web\n server a :1\n",
    backend: "web",
    edit: { kind: "remove", name: "a" },
  },
  {
    why: "RESOURCE_NOT_FOUND",
    text: "global\n.if 1\nbackend web\n server a :1\n.endif\n",
    backend: "web",
    edit: { kind: "remove", name: "a" },
  },
];

for (const { why, text = BEFORE, backend, edit } of REFUSED) {
  test(`${edit.kind} ${JSON.stringify(edit.name)} in ${backend} of ${JSON.stringify(text.slice(0, 20))} is refused: ${why}`, () => {
    assert.throws(() => editServer(parse(text), backend, edit), { reason: why });
  });
}

test("a backend goes after the last one", () => {
  const after = print(
    addBackend(parse(BEFORE), "new", [{ name: "s", address: "127.0.0.1", port: 1, weight: 1, id: 1 }]),
  );
  assert.equal(after, `${BEFORE}\nbackend new\n  server s 127.0.0.1:1 id 1\n`);
  assert.throws(() => addBackend(parse(BEFORE), "web", []), { reason: "RESOURCE_EXISTS" });
});

for (const [word, address, port] of [
  ["unix@/run/x:80", "unix@/run/x:80", 0],
  ["/run/x:80", "/run/x:80", 0],
  ["abns@x:80", "abns@x:80", 0],
  ["ipv4@1.1.1.1:80", "ipv4@1.1.1.1", 80],
  ["[::1]:80", "::1", 80],
] as const)
  test(`the address of server a ${word}`, () => {
    const [server] = serversOf(parse(`backend web\n  server a ${word}\n`).list("backend")[0]!);
    assert.deepEqual([server!.address, server!.port], [address, port]);
  });

test("many servers are added and removed as one after another would be", () => {
  const names = ["a", "b", "c", "d", "e", "f", "g"];
  const line = (name: string) =>
    fc.constantFrom(`  server ${name} 127.0.0.1:1\n`, `\tserver ${name} [::1]:2 check # it\n`);
  const other = fc.constantFrom(
    "",
    "\n",
    "  # more\n",
    "  .if 1\n  option abortonclose\n  .endif\n",
    "  balance leastconn\n",
  );
  const text = fc
    .tuple(
      fc.subarray(names),
      fc.array(other, { minLength: 8, maxLength: 8 }),
      fc.constantFrom("", "backend api\n"),
    )
    .chain(([present, others, behind]) =>
      fc
        .tuple(...present.map(line))
        .map(
          (lines) => `backend web\n${lines.map((each, i) => each + others[i]).join("")}${others[7]}${behind}`,
        ),
    );
  const cut = (whole: string, endsOpen: boolean) => (endsOpen ? whole.replace(/\n$/, "") : whole);
  const outcome = (make: () => Document): string => {
    try {
      return print(make());
    } catch (error) {
      return (error as { reason: string }).reason;
    }
  };
  fc.assert(
    fc.property(
      text,
      fc.boolean(),
      fc.array(fc.constantFrom(...names, "x", "y"), { minLength: 1 }),
      (whole, endsOpen, chosen) => {
        const document = parse(cut(whole, endsOpen));
        const drafts = chosen.map((name, i) => ({
          name,
          address: "10.0.0.1",
          port: 80,
          weight: 1,
          id: i + 1,
        }));
        assert.equal(
          outcome(() => addServers(document, "web", drafts)),
          outcome(() =>
            drafts.reduce((to, draft) => editServer(to, "web", { kind: "add", ...draft }), document),
          ),
        );
        assert.equal(
          outcome(() => removeServers(document, "web", chosen)),
          outcome(() =>
            chosen.reduce((to, name) => editServer(to, "web", { kind: "remove", name }), document),
          ),
        );
      },
    ),
  );
});
