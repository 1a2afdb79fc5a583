import { readdirSync, readFileSync } from "node:fs";
import { printLine } from "../../src/grammar/line-text.ts";
import type { SectionCodec } from "../../src/grammar/section-codec.ts";
import { reaches, type Version } from "../../src/grammar/version.ts";
import type { Sample } from "./grammar-samples.ts";
import type { Case, Files } from "./haproxy-judge.ts";

const FILES = new URL("../conformance/files/", import.meta.url);

/** The files that samples name: a certificate, a Lua script, and so on. The certificate is for tests alone. */
export function sampleFiles(): Files {
  return Object.fromEntries(
    readdirSync(FILES).map((name) => [name, readFileSync(new URL(name, FILES), "utf8")]),
  );
}

/** The configuration around the samples: what they refer to by the names that samples use. */
export const PREAMBLE: readonly string[] = `
global
  localpeer p1
  expose-experimental-directives
  insecure-fork-wanted
  external-check
  lua-load sample.lua
defaults
  mode http
  timeout connect 5s
  timeout client 5s
  timeout server 5s
frontend sample-frontend
  bind 127.0.0.1:8080
resolvers sample-resolvers
  nameserver n 127.0.0.1:53
peers sample-peers
  peer p1 127.0.0.1:10000
  table t type ip size 1k expire 10s store gpc0,http_req_rate(10s)
mailers sample-mailers
  mailer m 127.0.0.1:25
cache sample-cache
  total-max-size 4
fcgi-app sample-fcgi-app
  docroot /tmp
http-errors sample-http-errors
  errorfile 503 /dev/null
backend sample-backend
  stick-table type ip size 1k expire 10s store gpc(2),gpt(2)
  server checked 127.0.0.1:80 check
backend sample-agent
  mode tcp
  server s 127.0.0.1:80
defaults
  mode http
  timeout connect 5s
  timeout client 5s
  timeout server 5s`
  .trim()
  .split("\n");

/** What a section of a kind needs besides the sample, unless the sample is that. */
const NEEDS: Readonly<Record<string, readonly string[]>> = {
  listen: [
    "bind 127.0.0.1:8081",
    "stick-table type ip size 1k expire 10s store gpc(2),gpt(2)",
    "declare capture request len 10",
    "declare capture response len 10",
    "external-check command /bin/true",
    "server srv1 127.0.0.1:80 verify none",
  ],
  frontend: ["bind 127.0.0.1:8081"],
  acme: ["directory https://acme.example.com/directory"],
  cache: ["total-max-size 4"],
  "fcgi-app": ["docroot /tmp", "option mpxs-conns"],
  program: ["command /bin/true"],
  userlist: ["group g1", "user tom insecure-password secret", "user xdb insecure-password secret"],
};

/** What lines with a word need besides, in place of a line of the same directive. */
const NEEDS_OF_WORDS: readonly (readonly [RegExp, string])[] = [
  [/send-spoe-group/, "filter spoe engine e config spoe.conf"],
  [/challenge-ready/, "challenge dns-01"],
  [/^thread-group /, "nbthread 1"],
  [/set-bandwidth-limit/, "filter bwlim-in lim default-limit 1m default-period 1s"],
  [/fcgi-app/, "server srv1 127.0.0.1:80 proto fcgi"],
  [/tcp-request content use-service/, "mode tcp"],
];

const OLDEST: Version = { major: 2, minor: 6 };

/** A configuration for a version of HAProxy that holds the sample in the kind of section that has most of what it may need. */
export function configurationOf(sample: Sample, version: Version = OLDEST): Case {
  const { codec, directive, value, path } = sample;
  const text = printLine(directive, value, path);
  if (!text.ok) throw new Error(`${path}: ${text.violation.description}`);
  const line = String(text.text);
  const kind = kindFor(codec, directive.syntax.kinds);
  const named = codec.roles.name !== undefined;
  const special = NEEDS_OF_WORDS.filter(([word]) => word.test(line)).map(([, need]) => need);
  const needs = [...(NEEDS[kind] ?? []), ...special].filter((need) => {
    const isSame = (other: string) => sameDirective(codec, need, other);
    return (
      !isSame(line) && !special.some((other) => other !== need && firstWords(other) === firstWords(need))
    );
  });
  return {
    name: path,
    lines: [
      ...(kind === "program" ? programs(version) : []),
      named ? `${kind} @@` : kind,
      ...needs.map((need) => `  ${need}`),
      `  ${line}`,
    ],
  };
}

/** What programs need: to be under a master, and of late to be allowed. */
function programs(version: Version): string[] {
  const isDeprecated = reaches(version, { major: 3, minor: 1 });
  return ["global", "  master-worker", ...(isDeprecated ? ["  expose-deprecated-directives"] : [])];
}

function firstWords(line: string): string {
  return line.split(" ").slice(0, 2).join(" ");
}

function kindFor(codec: SectionCodec, letters: string): string {
  const legal = [...codec.kinds.values()].filter(({ letter }) => letters === "" || letters.includes(letter));
  return (legal.find(({ keyword }) => keyword === "listen") ?? legal[0]!).keyword;
}

/** True when the sample takes the place of a line that its section would need. */
function sameDirective(codec: SectionCodec, need: string, line: string): boolean {
  const found = (text: string) => codec.find(text.split(" ").map((value) => ({ value })))?.directive;
  const directive = found(need);
  return directive !== undefined && directive === found(line) && !directive.repeated;
}
