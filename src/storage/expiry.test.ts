import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pino } from "pino";
import { createAuthority } from "../../test/support/certificates.ts";
import { waitFor } from "../../test/support/wait.ts";
import { ManualClock } from "../lib/manual-clock.ts";
import { createExpiryWatch } from "./expiry.ts";
import type { FileChange } from "./file-change.ts";
import { ManagedDirectory } from "./managed-directory.ts";

const HOUR_MS = 3_600_000;

test("a certificate is told of once when its end is near, once when it has come, and again when replaced by another", async (t) => {
  const path = await mkdtemp(join(tmpdir(), "haplane-expiry-"));
  t.after(() => rm(path, { recursive: true }));
  const authority = createAuthority();
  const clock = new ManualClock(Date.now());
  const certificate = (hoursLeft: number) =>
    authority.issue(["a.test"], { notAfter: new Date(clock.now() + hoursLeft * HOUR_MS) }).certificate;
  await writeFile(join(path, "a.pem"), certificate(6));
  await writeFile(join(path, "broken.pem"), "nothing");
  const changes: FileChange[] = [];
  const certificates = await ManagedDirectory.open({ path, setting: "--ssl-certs-dir" });
  const watch = createExpiryWatch({
    ...{ directories: { certificates }, noticeMs: 3 * HOUR_MS, clock },
    ...{ onChange: (change: FileChange) => changes.push(change), logger: pino({ level: "silent" }) },
  });
  watch.start();
  t.after(() => watch.stop());
  const hours = async (count: number) => {
    for (let hour = 0; hour < count; hour++) {
      await waitFor("the next look to be due", async () => clock.pending > 0);
      clock.advance(HOUR_MS);
    }
    await waitFor("the last look to have ended", async () => clock.pending > 0);
  };
  await hours(2);
  assert.equal(changes.length, 0);
  await hours(2);
  assert.deepEqual(
    changes.map(({ type, facts }) => [type, facts.name]),
    [["expiring", "a.pem"]],
  );
  await hours(4);
  assert.equal(changes.length, 2);
  await writeFile(join(path, "a.pem"), certificate(2));
  await hours(1);
  assert.equal(changes.length, 3);
  assert.equal((await watch.list()).length, 1);
  await writeFile(join(path, "a.pem"), certificate(1));
  watch.look();
  await waitFor("a certificate that was just stored to be told of", async () => changes.length === 4);
});
