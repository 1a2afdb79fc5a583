import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { configGrammar } from "../../src/grammar/config-grammar.ts";
import { printBranch, type Span } from "../../src/grammar/version.ts";
import { compareGaps } from "../support/expected-gaps.ts";
import { Keywords } from "../support/grammar-keywords.ts";
import { judgingHaproxys } from "../support/judging-haproxys.ts";

/** The message whose keywords a group of keywords.txt is about; the other groups are kinds of section. */
const MESSAGES: Readonly<Record<string, string>> = {
  server: "Server",
  bind: "Bind",
  filter: "Filter",
  balance: "Balance",
  "http-request": "HttpRequestRule",
  "http-response": "HttpResponseRule",
  "http-after-response": "HttpAfterResponseRule",
  "tcp-request connection": "TcpRequestConnectionRule",
  "tcp-request session": "TcpRequestSessionRule",
  "tcp-request content": "TcpRequestContentRule",
  "tcp-response content": "TcpResponseContentRule",
  "quic-initial": "QuicInitialRule",
  "http-check steps": "HttpCheckRule",
  "tcp-check steps": "TcpCheckRule",
  "http-check expect words": "HttpExpect",
  "check connect words": "CheckConnect",
  "http-check send words": "HttpCheckSend",
  "cookie words": "Cookie",
  "stick-table words": "StickTable",
  "redirect words": "Redirect",
};

interface Fact {
  readonly group: string;
  readonly keyword: string;
  readonly since: string;
  readonly until: string;
}

const facts: Fact[] = readFileSync(new URL("keywords.txt", import.meta.url), "utf8")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"))
  .map((line) => {
    const [group, keyword, since, until] = line.split("\t") as [string, string, string, string];
    return { group, keyword, since, until };
  });

const keywords = new Keywords(configGrammar());

function find({ group, keyword }: Fact): Span | undefined {
  const message = MESSAGES[group];
  if (message === undefined) return keywords.directive(group, keyword);
  if (group === "quic-initial") return keywords.directive("frontend", `quic-initial ${keyword}`);
  // The list writes names where the user does: lua.<name>, hdr(<name>).
  return keywords.part(message, keyword.replace(/<name>|\[?\(.*$/g, ""));
}

function subject({ group, keyword }: Fact): string {
  return `${group} ${keyword}`;
}

test("every keyword that HAProxy 2.6 to 3.4 is known to have has a field, but for the expected gaps", () => {
  const missing = facts.filter((fact) => find(fact) === undefined).map(subject);
  assert.deepEqual(compareGaps("keyword", judgingHaproxys[0]!, missing), { unexpected: [], outdated: [] });
  assert.ok(
    missing.length <= facts.length / 100,
    `${missing.length} of ${facts.length} keywords have no field`,
  );
});

test("fields say which versions have them", () => {
  const wrong = facts.flatMap((fact) => {
    const span = find(fact);
    if (span === undefined) return [];
    const since = span.since === undefined ? "2.6" : printBranch(span.since);
    const until = span.until === undefined ? "-" : printBranch(span.until);
    return since === fact.since && until === fact.until
      ? []
      : [`${subject(fact)}: ${since} ${until}, not ${fact.since} ${fact.until}`];
  });
  assert.deepEqual(wrong, []);
});
