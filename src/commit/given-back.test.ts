import assert from "node:assert/strict";
import { test } from "node:test";
import type { ConfiguredServer } from "../config/server.ts";
import type { ServerState } from "../haproxy/server-states.ts";
import { givenBack } from "./given-back.ts";

const READY: ServerState["admin"] = {
  forcedMaint: false,
  inheritedMaint: false,
  configuredMaint: false,
  forcedDrain: false,
  inheritedDrain: false,
  unresolved: false,
};
const CONFIGURED: ConfiguredServer = {
  name: "a",
  address: "127.0.0.1",
  port: 80,
  weight: undefined,
  id: 1,
  disabled: false,
  words: [],
};
const CHECK: ServerState["check"] = {
  configured: false,
  enabled: false,
  paused: false,
  inProgress: false,
  result: "unknown",
};
const RUNNING: ServerState = {
  backend: "web",
  backendId: 3,
  server: "a",
  serverId: 1,
  idForced: true,
  address: "127.0.0.1",
  port: 80,
  fqdn: "",
  operational: "running",
  admin: READY,
  weight: 1,
  initialWeight: 1,
  secondsSinceChange: 0,
  check: CHECK,
  agent: CHECK,
  usesSsl: false,
  columns: {},
};

interface Case {
  readonly name: string;
  readonly state?: Partial<ServerState>;
  readonly before?: Partial<ConfiguredServer>;
  readonly after?: Partial<ConfiguredServer> | "gone";
  readonly expected: object | undefined;
}

const CASES: readonly Case[] = [
  { name: "nothing was set", expected: undefined },
  { name: "a weight set at runtime", state: { weight: 7 }, expected: { weight: 7 } },
  {
    name: "a weight of the file, changed by us at runtime too",
    state: { weight: 7 },
    before: { weight: 7 },
    after: { weight: 7 },
    expected: undefined,
  },
  {
    name: "a weight set at runtime that the file now says otherwise",
    state: { weight: 7 },
    after: { weight: 9 },
    expected: undefined,
  },
  { name: "an inherited weight", state: { weight: 50, initialWeight: 50 }, expected: undefined },
  { name: "a drain", state: { admin: { ...READY, forcedDrain: true } }, expected: { state: "drain" } },
  { name: "maintenance", state: { admin: { ...READY, forcedMaint: true } }, expected: { state: "maint" } },
  {
    name: "maintenance because of the file",
    state: { admin: { ...READY, forcedMaint: true, configuredMaint: true } },
    before: { disabled: true },
    after: { disabled: true },
    expected: undefined,
  },
  {
    name: "enabled at runtime against the file",
    before: { disabled: true },
    after: { disabled: true },
    expected: { state: "ready" },
  },
  {
    name: "a drain of a server that the file now disables",
    state: { admin: { ...READY, forcedDrain: true } },
    after: { disabled: true },
    expected: undefined,
  },
  {
    name: "an address set at runtime",
    state: { address: "127.0.0.2", port: 81 },
    expected: { address: "127.0.0.2", port: 81 },
  },
  {
    name: "an address set at runtime that the file now says otherwise",
    state: { address: "127.0.0.2" },
    after: { port: 82 },
    expected: undefined,
  },
  {
    name: "an address that a resolver found",
    state: { address: "127.0.0.2" },
    before: { address: "app.local" },
    after: { address: "app.local" },
    expected: undefined,
  },
  {
    name: "one IPv6 address, written in two ways",
    state: { address: "::1" },
    before: { address: "0:0::1" },
    after: { address: "0:0::1" },
    expected: undefined,
  },
  { name: "a server that is gone", state: { weight: 7 }, after: "gone", expected: undefined },
];

for (const { name, state, before, after, expected } of CASES) {
  test(`${name} is ${expected === undefined ? "left to the file" : "given back"}`, () => {
    const now = after === "gone" ? undefined : { ...CONFIGURED, ...after };
    const changes = givenBack(
      [{ ...RUNNING, ...state }],
      () => ({ ...CONFIGURED, ...before }),
      () => now,
    );
    assert.deepEqual(
      changes,
      expected === undefined ? [] : [{ kind: "set", backend: "web", server: "a", ...expected }],
    );
  });
}
