import { after, before, test } from "node:test";
import { describeClients, grpcurl } from "../support/clients.ts";
import { startHaplane, type TestHaplane } from "../support/haplane.ts";
import { preamble } from "../support/preamble.ts";
import { reachIn, runSession } from "../support/session.ts";

let haplane: TestHaplane;

before(async () => {
  haplane = await startHaplane(preamble);
});
after(() => haplane.stop());

test("the session of docs/runtime.md runs as it is written", {
  skip: grpcurl().path === undefined && describeClients([grpcurl()]),
}, async () => {
  await runSession({ page: "runtime.md", here: reachIn(haplane.dir) }, [
    [0, /"revision": "2"/],
    [1, /"curr_?[cC]onns": \d/],
    [1, /"svname": "one"[\s\S]*"svname": "two"/],
    [2, /"runtimeOnly": \[\n\s*"weight"\n/],
    [3, /"revision": "3"[\s\S]*"via": "VIA_RUNTIME"/],
    [4, /"changed": 2,[\s\S]*"reason": "RESOURCE_NOT_FOUND"/],
    [5, /"configured": true[\s\S]*"revision": "4"[\s\S]*"revision": "5"/],
    [6, /"name": "loops"/],
    [7, /shop\/one/],
  ]);
});
