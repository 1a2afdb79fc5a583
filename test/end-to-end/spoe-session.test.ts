import { after, before, test } from "node:test";
import { describeClients, grpcurl } from "../support/clients.ts";
import { startHaplane, type TestHaplane } from "../support/haplane.ts";
import { freePort } from "../support/ports.ts";
import { preamble } from "../support/preamble.ts";
import { reachIn, runSession } from "../support/session.ts";

let haplane: TestHaplane;

before(async () => {
  haplane = await startHaplane(preamble);
});
after(() => haplane.stop());

test("the session of docs/spoe.md runs as it is written", {
  skip: grpcurl().path === undefined && describeClients([grpcurl()]),
}, async () => {
  const ports = new Map([
    [8082, await freePort()],
    [12345, await freePort()],
  ]);
  await runSession({ page: "spoe.md", here: reachIn(haplane.dir, ports) }, [
    [1, /"version": "1"/],
    [2, /"version": "2"/],
    [3, /"version": "3"/],
    [4, /"version": "4"/],
    [5, /"version": "5"/],
    [6, /^\[mirror\]\n\nspoe-agent mirror-agent\n {4}messages request\n {4}use-backend mirrors\n/],
    [6, /^ {4}args method=method path=path src\n {4}event on-frontend-http-request if METH_GET$/m],
    [7, /\+spoe-agent geo/],
    [7, /"version": "2",\n {2}"applied"/],
    [8, /-spoe-message where/],
    [8, /\+spoe-message who/],
    [9, /"message": "adds spoe\/mirror\.conf\/scopes\/mirror"/],
    [9, /\+ {4}args method=method path=path src/],
    [9, /-.*messages request/],
    [10, /"via": "VIA_RELOAD"/],
    [10, /"directive": "filter"/],
  ]);
});
