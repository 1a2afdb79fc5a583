import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import type { ServerState } from "../../src/haproxy/server-states.ts";
import { commitWorld, textEdit, type World } from "../support/commit-world.ts";
import { realHaproxy } from "../support/real-factory.ts";
import { statRows } from "../support/stat-rows.ts";

const BODY = `defaults
    mode http
    timeout connect 1s
    timeout client 5s
    timeout server 5s
    default-server inter 1h fall 3

frontend main
    bind unix@/dev/null/never
    maxconn 100

backend web
    default-server weight 20 maxconn 30
    server a 127.0.0.1:18001 id 1
    server b 127.0.0.1:18002 id 2 weight 5

listen both
    bind abns@haplane-equal-PID
    maxconn 50
    server a 127.0.0.1:18001 id 1 check
`;

/** One change of the text that the running HAProxy can follow by commands, as the classes say. */
type Step =
  | { readonly kind: "add"; readonly backend: string; readonly name: string; readonly words: string }
  | { readonly kind: "remove" | "toggle"; readonly backend: string; readonly pick: number }
  | {
      readonly kind: "weigh" | "move";
      readonly backend: string;
      readonly pick: number;
      readonly value: number;
    }
  | { readonly kind: "maxconn"; readonly value: number };

const backend = fc.constantFrom("backend web", "listen both");
const pick = fc.nat(9);
const words = fc
  .record({
    weight: fc.option(fc.integer({ min: 0, max: 256 })),
    disabled: fc.boolean(),
    rest: fc.constantFrom(
      "",
      "check inter 1h",
      "maxconn 7",
      "backup",
      "check port 18009 inter 1h rise 2 fall 4",
      "send-proxy",
      "check agent-check agent-port 9 agent-inter 1h",
      "ssl verify none",
    ),
  })
  .map(({ weight, disabled, rest }) =>
    [rest, weight === null ? "" : `weight ${weight}`, disabled ? "disabled" : ""].filter(Boolean).join(" "),
  );
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("add" as const),
      backend,
      name: fc.stringMatching(/^[a-z][a-z0-9_.:-]{0,6}$/),
      words,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom("remove" as const, "toggle" as const), backend, pick }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("weigh" as const),
      backend,
      pick,
      value: fc.integer({ min: 0, max: 256 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("move" as const),
      backend,
      pick,
      value: fc.integer({ min: 18_100, max: 18_900 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("maxconn" as const), value: fc.integer({ min: 1, max: 500 }) }),
  },
);

/** Makes a step on the text; the text as it is when there is nothing to make it on. */
function apply(text: string, step: Step): string {
  if (step.kind === "maxconn") return text.replace(/(frontend main[\s\S]*?maxconn )\d+/, `$1${step.value}`);
  const lines = text.split("\n");
  const start = lines.indexOf(step.backend);
  let end = lines.findIndex((line, index) => index > start && !line.startsWith(" "));
  if (end < 0) end = lines.length;
  const servers = lines
    .map((line, index) => ({ line, index }))
    .filter(({ line, index }) => index > start && index < end && /^ +server /.test(line));
  if (step.kind === "add") {
    if (servers.some(({ line }) => line.trim().split(/\s+/)[1] === step.name)) return text;
    const id = Math.max(...[...text.matchAll(/ id (\d+)/g)].map(([, found]) => Number(found))) + 1;
    return lines
      .toSpliced(
        end,
        0,
        `    server ${step.name} 127.0.0.1:${18_000 + (id % 90)} id ${id} ${step.words}`.trimEnd(),
      )
      .join("\n");
  }
  const chosen = servers[step.pick % Math.max(servers.length, 1)];
  if (chosen === undefined) return text;
  const { line, index } = chosen;
  switch (step.kind) {
    case "remove":
      return lines.toSpliced(index, 1).join("\n");
    case "toggle":
      return lines
        .with(index, / disabled\b/.test(line) ? line.replace(/ disabled\b/, "") : `${line} disabled`)
        .join("\n");
    case "weigh":
      return lines
        .with(
          index,
          / weight \d+/.test(line)
            ? line.replace(/ weight \d+/, ` weight ${step.value}`)
            : `${line} weight ${step.value}`,
        )
        .join("\n");
    case "move":
      return lines.with(index, line.replace(/:\d+ /, `:${step.value} `)).join("\n");
  }
}

/**
 * What has to be equal. Left out: the operational state and the health of servers with checks, because a check that has not come to a result yet counts anew after a reload (with a state file they are
 * given back), and with them the totals of a backend; the effective weight of a server in maintenance, which HAProxy computes when it leaves it; times; ids that HAProxy gave itself, by order in the file or of addition; `srv_use_ssl` is as configured in both.
 */
function comparable(states: readonly ServerState[]): string[] {
  return states
    .map(
      ({
        backend,
        server,
        serverId,
        idForced,
        address,
        port,
        weight,
        admin,
        operational,
        check,
        agent,
        usesSsl,
        columns,
      }) =>
        JSON.stringify({
          ...{ backend, server, id: idForced ? serverId : "free", address, port, weight, usesSsl },
          maint: admin.forcedMaint,
          drain: admin.forcedDrain,
          operational: check.configured || agent.configured ? "by check" : operational,
          check: [check.configured, check.enabled, columns.srv_check_port, columns.srv_check_addr],
          agent: [agent.configured, agent.enabled, columns.srv_agent_port, columns.srv_agent_addr],
        }),
    )
    .sort();
}

async function observe(w: World): Promise<{ servers: string[]; proxies: string[] }> {
  const [states, stats] = [await w.haproxy.runtime.serverStates(), await w.haproxy.runtime.stats()];
  const proxies = statRows(stats)
    .filter(({ type }) => type === "0" || type === "2")
    .map(({ pxname, svname, status = "", slim = "", weight = "", bck = "", act = "" }) => {
      const effective = status.startsWith("MAINT") ? "when it is back" : weight;
      return JSON.stringify([pxname, svname, slim, effective, bck, act]);
    })
    .sort();
  return { servers: comparable(states), proxies };
}

async function equalWorld(t: TestContext): Promise<World> {
  const body = BODY.replace("PID", `${process.pid}-${Math.random().toString(36).slice(2)}`).replace(
    "unix@/dev/null/never",
    `abns@haplane-equal-main-${process.pid}-${Math.random().toString(36).slice(2)}`,
  );
  return commitWorld(t, realHaproxy, body);
}

test("equal: what was changed at runtime is what a reload of the file leads to", async (t) => {
  const w = await equalWorld(t);
  const start = await w.text();
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps) => {
      await w.commit.change({ edit: textEdit(() => start) });
      for (const one of steps) {
        const outcome = await w.commit.change({ edit: textEdit((text) => apply(text, one)) });
        assert.notEqual(
          outcome.via,
          "reload",
          `${JSON.stringify(one)} is of a runtime class, but: ${outcome.reasons.join("; ")}`,
        );
      }
      const atRuntime = await observe(w);
      assert.equal((await w.haproxy.reload()).kind, "succeeded");
      assert.deepEqual(await observe(w), atRuntime);
    }),
    { numRuns: 15 },
  );
});
