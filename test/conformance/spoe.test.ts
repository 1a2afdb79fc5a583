import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { printLine } from "../../src/grammar/line-text.ts";
import { spoeGrammar } from "../../src/grammar/spoe-grammar.ts";
import { reaches, within } from "../../src/grammar/version.ts";
import { type Sample, samplesOf } from "../support/grammar-samples.ts";
import { type JudgingHaproxy, judgingHaproxys } from "../support/judging-haproxys.ts";

/** What HAProxy needs of the sections of a scope, unless the sample takes its place. */
const SCOPE: Readonly<Record<string, readonly string[]>> = {
  "spoe-agent a": [
    "messages sample-message",
    "groups sample-group",
    "option var-prefix e",
    "timeout hello 1s",
    "timeout idle 1m",
    "timeout processing 1s",
    "use-backend sample-agent",
  ],
  "spoe-message sample-message": ["args src", "event on-client-session"],
  "spoe-message of-the-group": ["args src"],
  "spoe-group sample-group": ["messages of-the-group"],
};

const samples = samplesOf(spoeGrammar());

test("there is a sample for everything that the manual has", () => {
  const keywords = new Set(samples.map(({ directive }) => directive.syntax.keyword.join(" ")));
  assert.deepEqual([...keywords].sort(), [
    ...["acl", "args", "event", "groups", "log", "max-frame-size", "max-waiting-frames", "maxconnrate"],
    ...["maxerrrate", "messages", "option async", "option continue-on-error", "option dontlog-normal"],
    ...["option force-set-var", "option pipelining", "option send-frag-payload", "option set-on-error"],
    ...["option set-process-time", "option set-total-time", "option var-prefix", "register-var-names"],
    ...["timeout hello", "timeout idle", "timeout processing", "use-backend"],
  ]);
});

for (const { name, binary, version } of judgingHaproxys) {
  test(`${name} accepts a line for every field, choice and enum value of a SPOE file`, () => {
    const own = samples.filter(({ spans }) => spans.every((span) => within(version, span)));
    const lines: string[] = [];
    const owners: string[] = [];
    for (const [index, sample] of own.entries())
      for (const line of scopeFor(sample, index)) {
        lines.push(line);
        owners.push(sample.path);
      }
    const output = check({ binary, version }, lines, own.length);
    const refused = [...output.matchAll(/\[ALERT\].*\[spoe\.conf:(\d+)\].*/g)].map(
      ([alert, line]) => `${owners[Number(line) - 1]}: ${alert}`,
    );
    assert.deepEqual(refused, []);
    assert.match(output, /^STATUS 0$/m, output);
  });
}

/** A scope in which a sample stands. */
function scopeFor(sample: Sample, index: number): string[] {
  const { codec, directive, value, path } = sample;
  const printed = printLine(directive, value, path);
  assert.ok(printed.ok, path);
  const text = String(printed.text);
  const kind = [...codec.kinds.keys()][0]!;
  const place = Object.keys(SCOPE).find((header) => header.startsWith(kind))!;
  const keyword = directive.syntax.keyword.join(" ");
  return [
    `[s${index}]`,
    ...Object.entries(SCOPE).flatMap(([header, lines]) => {
      const isOwn = header === place;
      const kept = lines.filter((line) => !isOwn || !line.startsWith(`${keyword} `));
      return [header, ...[...kept, ...(isOwn ? [adapted(text, kind)] : [])].map((line) => `    ${line}`)];
    }),
  ];
}

/** A message is sent on its event or in its group, not both. */
function adapted(line: string, kind: string): string {
  return kind === "spoe-group" ? line.replace("sample-message", "of-the-group") : line;
}

function check(
  { binary, version }: Pick<JudgingHaproxy, "binary" | "version">,
  lines: readonly string[],
  scopes: number,
): string {
  const directory = mkdtempSync(join(tmpdir(), "haplane-spoe-"));
  try {
    writeFileSync(join(directory, "spoe.conf"), `${lines.join("\n")}\n`);
    const filters = Array.from({ length: scopes }, (_, i) => `  filter spoe engine s${i} config spoe.conf`);
    writeFileSync(
      join(directory, "haproxy.cfg"),
      `${reaches(version, { major: 3, minor: 1 }) ? "log-profile sample-log-profile\n  on any drop\n" : ""}defaults
  mode http
  timeout connect 5s
  timeout client 5s
  timeout server 5s
frontend sample
  bind 127.0.0.1:8080
${filters.join("\n")}
backend sample-agent
  mode tcp
  server s 127.0.0.1:80
`,
    );
    const { status, stdout, stderr } = spawnSync(binary, ["-c", "-f", "haproxy.cfg"], {
      cwd: directory,
      encoding: "utf8",
      timeout: 60_000,
    });
    return `${stdout}${stderr}STATUS ${status}\n`;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
