import assert from "node:assert/strict";
import { test } from "node:test";
import { deleteLines } from "../../src/text/edit.ts";
import { BODY, commitWorld } from "../support/commit-world.ts";
import { scriptedHaproxy } from "../support/scripted-factory.ts";

test("a change that takes HAProxy's last socket for commands away is made, with a warning; the next is made without", async (t) => {
  const sockets = ["/run/h.sock level admin", "/run/i.sock level admin", "/run/j.sock level user"];
  const body = `global\n${sockets.map((words) => `    stats socket ${words}\n`).join("")}\n${BODY}`;
  const world = await commitWorld(t, scriptedHaproxy, body);
  const removeFirst = async (validateOnly: boolean) => {
    const { warnings } = await world.commit.change({
      edit: {
        apply: (document) => deleteLines(document, document.lastOf("global")!, 1, 1).document,
        ...{ resources: ["global"], author: "tester", message: "removes a socket", servers: [] },
      },
      validateOnly,
    });
    return warnings.map(({ message, resource }) => `${resource} ${message.slice(0, 37)}`);
  };
  const lost = ["global the configuration has no stats socket"];
  assert.deepEqual(await removeFirst(false), [], "another is there");
  assert.deepEqual(await removeFirst(true), lost);
  assert.deepEqual(await removeFirst(false), lost);
  assert.deepEqual(await removeFirst(false), [], "it was gone before");
});
