import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readSettingsFile } from "./read-file.ts";
import { readSettings } from "./read-settings.ts";
import { SettingsError } from "./settings-error.ts";

function problemsOf(text: string): string[] {
  const problems: string[] = [];
  readSettingsFile("h.yaml", text, problems);
  return problems;
}

for (const [text, problem] of [
  ["grpc: 5555", 'h.yaml:1:7: grpc is "5555"; write HOST:PORT, such as 127.0.0.1:5555 or [::1]:5555'],
  ["\n\nrelod_delay: 3", "h.yaml:3:1: relod_delay is no setting; did you mean reload_delay?"],
  ["zzz: 3", "h.yaml:1:1: zzz is no setting; haplane help lists them"],
  ["reload_interval: -1", 'h.yaml:1:18: reload_interval is "-1"; write a whole number from 0 to 999999999'],
  ["reload_interval: 1e3", /reload_interval is "1e3"/],
  ["max_old_workers: 0", /write a whole number from 1 /],
  ["reflection: maybe", 'h.yaml:1:13: reflection is "maybe"; allowed are on, local, off'],
  ["read_only: yes", 'h.yaml:1:12: read_only is "yes"; write true or false'],
  ["state_dir: ''", "h.yaml:1:12: state_dir is empty"],
  ['state_dir: "a\\nb"', "h.yaml:1:12: state_dir has a control character in it"],
  ["state_dir:", "h.yaml:1:11: state_dir must be one value"],
  ["state_dir: [a]", "h.yaml:1:12: state_dir must be one value"],
  ["config:\n  - a.cfg\n  - {x: 1}", "h.yaml:3:5: config[1] must be one value"],
  ["- a", "h.yaml:1:1: the file must be a mapping of names to values"],
  ["state_dir: /a\nstate_dir: /b", /^h.yaml:2:1: .*unique/],
  ["state_dir: &a /a\nlog_file: *a", "h.yaml:2:11: log_file is an alias; write the value itself"],
  ["state_dir: [", /^h.yaml:1:\d+: /],
  [
    "bindings: [{role: root, users: [a]}]",
    /^h.yaml:1:19: bindings\[0\].role is "root"; allowed are viewer, /,
  ],
  ["bindings: [{users: [a]}]", /^h.yaml:1:12: bindings\[0\] has no role: /],
  ["users: [{name: a, password: b, role:}]", /^h.yaml:1:\d+: users\[0\].role must be one value/],
  ["__proto__: {x: 1}", /^h.yaml:1:1: __proto__ is no setting/],
  ["? [a, b]\n: c", /is no setting/],
] as const) {
  test(`refused: ${JSON.stringify(text)}`, () => {
    const found = problemsOf(text);
    assert.equal(found.length, 1, found.join("\n"));
    if (typeof problem === "string") assert.equal(found[0], problem);
    else assert.match(found[0] ?? "", problem);
  });
}

test("every mistake is told at once, and where", () => {
  const read = () => readSettings("serve", ["--http=x"], { HAPLANE_CONSUL: "y" }, () => "grpc: 1\nhttp: 2\n");
  assert.throws(
    read,
    (error) =>
      error instanceof SettingsError &&
      ["--http is", "HAPLANE_CONSUL is", "haplane.yaml:1:7: grpc is", "haplane.yaml:2:7: http is"].every(
        (place) => error.message.includes(place),
      ),
  );
});

test("a flag wins over the environment, which wins over the file, which wins over the default", () => {
  const file =
    "state-dir: /file\nmaps_dir: /file/maps\nconfig: [/a.cfg, /b.cfg]\nreload_delay: 7\nread_only: true\n";
  const read = (path: string) => (path === "/h.yaml" ? file : undefined);
  const environment = { HAPLANE_SETTINGS: "/h.yaml", HAPLANE_MAPS_DIR: "/env/maps" };
  const settings = readSettings("start", [], environment, read);
  assert.equal(settings.stateDir, "/file");
  assert.equal(settings.directories.sslCerts, "/file/ssl", "defaults stand on what the file says");
  assert.equal(settings.directories.maps, "/env/maps");
  assert.deepEqual(settings.config, ["/a.cfg", "/b.cfg"]);
  assert.equal(settings.reloadDelayMs, 7);
  assert.equal(settings.readOnly, true);
  const flags = ["--maps-dir=/flag/maps", "--config=/c.cfg"];
  assert.equal(readSettings("start", flags, environment, read).directories.maps, "/flag/maps");
  assert.deepEqual(readSettings("start", flags, environment, read).config, ["/c.cfg"]);
});

test("a file that is named has to be there; the one that is not may be missing or say nothing", () => {
  assert.throws(
    () => readSettings("serve", ["--settings=/none.yaml"], {}),
    new SettingsError("/none.yaml: there is no such file"),
  );
  for (const text of [undefined, "", "# nothing\n", "{}"])
    assert.equal(readSettings("serve", [], {}, () => text).stateDir, "/var/lib/haplane");
});

test("no text makes it throw, and whatever is wrong has a place", () => {
  const words = fc.constantFrom(
    ...[
      "state_dir",
      ": ",
      "\n",
      "- ",
      "[",
      "]",
      "{",
      "}",
      "&a ",
      "*a",
      "!!js ",
      "config",
      "'",
      '"',
      "|",
      ">",
      "?",
      "#",
    ],
    ...["\t", "\0", "0x1", "true", "---", "...", "<<", "%YAML 1.1\n", "__proto__"],
  );
  const text = fc.oneof(
    fc.string({ unit: "binary", maxLength: 60 }),
    fc.array(words, { maxLength: 30 }).map((parts) => parts.join("")),
  );
  fc.assert(
    fc.property(text, (yaml) => {
      for (const problem of problemsOf(yaml)) assert.match(problem, /^h\.yaml:\d+:\d+: /);
    }),
    { numRuns: 2_000 },
  );
});
