import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { configGrammar } from "../../src/grammar/config-grammar.ts";
import { compareGaps } from "../support/expected-gaps.ts";
import { Keywords } from "../support/grammar-keywords.ts";
import { type JudgingHaproxy, judgingHaproxys } from "../support/judging-haproxys.ts";

const RULESETS: Readonly<Record<string, string>> = {
  "tcp-request connection": "TcpRequestConnectionRule",
  "tcp-request session": "TcpRequestSessionRule",
  "tcp-request content": "TcpRequestContentRule",
  "tcp-response content": "TcpResponseContentRule",
  "http-request": "HttpRequestRule",
  "http-response": "HttpResponseRule",
  "http-after-response": "HttpAfterResponseRule",
};

const grammar = configGrammar();
const keywords = new Keywords(grammar);

/** The keywords that a HAProxy registers, as it prints them, with their section in front. */
function registry({ binary }: JudgingHaproxy): string[] {
  // An empty configuration has no listener, so the exit status is not 0.
  const { stdout } = spawnSync(binary, ["-dKcfg,srv,flt", "-q", "-c", "-f", "/dev/null"], {
    encoding: "utf8",
  });
  const found: string[] = [];
  let section = "";
  for (const line of stdout.split("\n")) {
    if (line.startsWith("#")) section = line.includes("filter") ? "filter" : "";
    else if (section === "filter" && line !== "") found.push(`filter ${line}`);
    else if (line.startsWith("\t")) found.push(`${section} ${line.trim()}`);
    else section = line.trim();
  }
  return found;
}

/** True when the grammar knows a line of the registry. */
function isKnown(entry: string): boolean {
  const [, section, text] = /^(\S+) (.*)$/.exec(entry)!;
  const words = text!.replace(/ \+-?\d+$| \[.*\]$/g, "").split(" ");
  if (section === "filter") return keywords.part("Filter", words[0]!) !== undefined;
  // A crt-list gives parameters of a bind line to a certificate.
  if (words[0] === "bind" || section === "crt-list")
    return keywords.part("Bind", words.at(-1)!) !== undefined;
  if (words[0] === "server") return keywords.part("Server", words.at(-1)!) !== undefined;
  const ruleset = Object.keys(RULESETS).find((name) => text!.startsWith(`${name} `));
  // A star stands for what is joined to the action: its number, or parentheses.
  if (ruleset !== undefined)
    return keywords.part(RULESETS[ruleset]!, words.at(-1)!.replace("*", "")) !== undefined;
  // Of some keywords only the first of several words is registered.
  const codec = grammar.section(section!)!;
  if (codec.removed.some(({ keyword }) => keyword.join(" ") === words.join(" "))) return true;
  return codec.directives.some(({ spellings }) =>
    spellings.some((spelling) => words.every((word, i) => spelling[i] === word)),
  );
}

for (const haproxy of judgingHaproxys) {
  test(`every keyword that ${haproxy.name} registers has a field, but for the expected gaps`, () => {
    const entries = registry(haproxy);
    assert.ok(entries.length > 300, `HAProxy registered only ${entries.length} keywords`);
    const missing = entries.filter((entry) => !isKnown(entry));
    assert.deepEqual(compareGaps("registry", haproxy, missing), { unexpected: [], outdated: [] });
    assert.ok(missing.length <= entries.length / 100, `${missing.length} of ${entries.length} are gaps`);
  });

  test(`options are legal in the kinds of proxy that ${haproxy.name} names, but for the expected gaps`, () => {
    const wrong = registry(haproxy).flatMap((entry) => {
      const [, option, sides] = /^\S+ option (\S+) \[ (.*) \]$/.exec(entry) ?? [];
      if (option === undefined || sides === undefined) return [];
      const expected = sides.includes("FE")
        ? sides.includes("BE")
          ? ["frontend", "backend"]
          : ["frontend"]
        : ["backend"];
      const found = ["frontend", "backend"].filter(
        (kind) => keywords.directive(kind, `option ${option}`) !== undefined,
      );
      return found.join() === expected.join() ? [] : [`option ${option}`];
    });
    assert.deepEqual(compareGaps("kinds", haproxy, wrong), { unexpected: [], outdated: [] });
  });
}
