import assert from "node:assert/strict";
import { test } from "node:test";
import { pino } from "pino";
import { readSettings } from "./read-settings.ts";
import { createReload } from "./reload.ts";

const plain: readonly string[] = [];
const tls = ["--tls-certificate=/c.pem", "--tls-key=/k.pem"];
const mutual = [...tls, "--tls-ca=/a.pem"];

/** What is logged when a haplane that was started with some flags reads others. */
async function reloaded(before: readonly string[], after: readonly string[]) {
  const lines: Record<string, unknown>[] = [];
  let taken = 0;
  const reload = createReload({
    settings: readSettings("serve", before, {}),
    read: () => readSettings("serve", after, {}),
    async apply() {
      taken += 1;
    },
    logger: pino({}, { write: (line: string) => lines.push(JSON.parse(line)) }),
  });
  await reload();
  return { taken, reason: lines.find(({ reason }) => reason !== undefined)?.reason };
}

for (const [before, after, reason] of [
  [plain, tls, /^tls_certificate and tls_key: TLS cannot be switched on while haplane runs; start it anew/],
  [tls, plain, /TLS cannot be switched off while haplane runs/],
  [tls, mutual, /^tls_ca: asking clients for certificates cannot be switched on while/],
  [mutual, tls, /^tls_ca: asking clients for certificates cannot be switched off while/],
  [plain, ["--log-level=loud"], /--log-level is "loud"/],
] as const)
  test(`nothing is taken: ${JSON.stringify(before)} → ${JSON.stringify(after)}`, async () => {
    const outcome = await reloaded(before, after);
    assert.equal(outcome.taken, 0);
    assert.match(String(outcome.reason), reason);
  });

for (const [before, after] of [
  [plain, ["--log-level=debug"]],
  [tls, ["--tls-certificate=/other.pem", "--tls-key=/k.pem"]],
  [mutual, [...tls, "--tls-ca=/other.pem", "--max-streams=3"]],
] as const)
  test(`taken: ${JSON.stringify(after)}`, async () => {
    assert.deepEqual(await reloaded(before, after), { taken: 1, reason: undefined });
  });
