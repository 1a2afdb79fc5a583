import assert from "node:assert/strict";
import { test } from "node:test";
import pino from "pino";
import { DomainError } from "../lib/errors.ts";
import { endInterrupted } from "./end-interrupted.ts";

/** What is done with a file that is used and one that is not, when HAProxy takes them or refuses. */
async function steps(refuses?: Error): Promise<string[]> {
  const done: string[] = [];
  const left = (name: string) => ({
    name,
    undo: async () => void done.push(`undo ${name}`),
    keep: async () => void done.push(`keep ${name}`),
  });
  await endInterrupted({
    interrupted: [left("used"), left("other")],
    isUsed: (name) => name === "used",
    commit: {
      async reload() {
        done.push("reload");
        if (refuses !== undefined) throw refuses;
      },
    },
    logger: pino({ level: "silent" }),
  });
  return done;
}

test("what HAProxy takes is kept", async () => {
  assert.deepEqual(await steps(), ["reload", "keep used", "keep other"]);
});

test("what HAProxy refuses is put back, where it uses it", async () => {
  const refusal = new DomainError("CONFIGURATION_REFUSED", "no");
  assert.deepEqual(await steps(refusal), ["reload", "undo used", "keep other"]);
});

test("a defect is not taken for a refusal", async () => {
  await assert.rejects(steps(new Error("defect")), /defect/);
});
