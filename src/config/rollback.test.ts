import assert from "node:assert/strict";
import { test } from "node:test";
import { Document } from "../text/document.ts";
import { rolledBack } from "./rollback.ts";

const document = (text: string) => Document.parse([{ path: "haproxy.cfg", bytes: Buffer.from(text) }]);
const owns = (backend: string) => backend.startsWith("found-");

const FORMER = `defaults
    mode http

backend mine
    server a 192.0.2.1:80

# of discovery
backend found-shop
    balance roundrobin
    server one 192.0.2.10:80 id 1
    server two 192.0.2.11:80 id 2 # by hand
    timeout queue 1s
`;

interface Case {
  readonly name: string;
  readonly present: string;
  readonly expected: string;
}

const CASES: readonly Case[] = [
  {
    name: "a backend of discovery keeps its present servers, and all else of it is what it was",
    present: FORMER.replace("192.0.2.1:80", "192.0.2.2:80")
      .replace("balance roundrobin", "balance leastconn")
      .replace(
        "server one 192.0.2.10:80 id 1\n    server two 192.0.2.11:80 id 2 # by hand",
        "server three 192.0.2.12:80 id 3",
      ),
    expected: FORMER.replace(
      "server one 192.0.2.10:80 id 1\n    server two 192.0.2.11:80 id 2 # by hand",
      "server three 192.0.2.12:80 id 3",
    ),
  },
  {
    name: "one that has no servers now gets none back",
    present: FORMER.replace(/ {4}server (?:one|two).*\n/g, ""),
    expected: FORMER.replace(/ {4}server (?:one|two).*\n/g, ""),
  },
  {
    name: "one that discovery has made since stays, servers of others come back",
    present: `${FORMER.replace("    server a 192.0.2.1:80\n", "")}
backend found-cart
    server one 192.0.2.20:80 id 1
`,
    expected: `${FORMER}
backend found-cart
    server one 192.0.2.20:80 id 1
`,
  },
];

for (const { name, present, expected } of CASES) {
  test(name, () => {
    const now = document(present);
    assert.equal(rolledBack(document(FORMER), now, owns).print(0).toString(), expected);
  });
}

test("where nothing is to change, the present document is the answer", () => {
  const now = document(FORMER);
  assert.equal(rolledBack(document(FORMER), now, owns), now);
});
