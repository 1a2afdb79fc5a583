import assert from "node:assert/strict";
import { test } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { EventSchema } from "../../gen/haplane/v1/events_pb.js";
import type { Running } from "../haproxy/process-state.ts";
import { tellProcess } from "./process-event.ts";

const running: Running = {
  ...{ kind: "running", since: new Date(1_000), version: { major: 2, minor: 6, patch: 12, text: "2.6.12" } },
  ...{ masterPid: 1, workerPid: 2, reloads: 0, failedReloads: 0, oldWorkerPids: [] },
};

test("a change of the process is told once, and not what no event shows", () => {
  const told: MessageInitShape<typeof EventSchema>[] = [];
  const tell = tellProcess((event) => told.push(event));
  tell(running);
  tell({ ...running, oldWorkerPids: [7] });
  tell({ ...running, oldWorkerPids: [] });
  assert.equal(told.length, 1);
  tell({ ...running, workerPid: 3 });
  const down = { kind: "down", since: new Date(2_000), reason: "gone", retryAt: new Date(3_000) } as const;
  tell(down);
  tell({ ...down, retryAt: new Date(4_000) });
  assert.equal(told.length, 3);
});
