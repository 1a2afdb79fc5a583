import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { buf, curl, describeClients, generatePythonModules, grpcurl, python } from "./clients.ts";

test("buf comes with the npm packages", () => {
  const client = buf();
  assert.ok(client.path, "buf is missing");
  assert.match(client.version, /^\d+\.\d+\.\d+$/);
});

test("the run says which clients it has, and why it has no other", (t) => {
  t.diagnostic(describeClients([grpcurl(), buf(), curl(), python()]));
  assert.equal(
    describeClients([
      { name: "a", path: "/a", version: "1.2" },
      { name: "b", path: undefined, missing: "not on PATH" },
    ]),
    "clients: a 1.2; without b (not on PATH)",
  );
  assert.equal(describeClients([{ name: "a", path: "/a", version: "1" }]), "clients: a 1");
});

test("Python generates and imports modules from every proto", {
  skip: !python().path && "no Python client",
}, (t) => {
  const directory = mkdtempSync(join(tmpdir(), "haplane-python-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const interpreter = python().path ?? "";
  generatePythonModules(interpreter, directory);
  const said = execFileSync(
    interpreter,
    ["-c", "from haplane.v1 import runtime_pb2_grpc as r; print(r.RuntimeStub.__name__)"],
    { env: { PYTHONPATH: directory }, encoding: "utf8" },
  );
  assert.equal(said, "RuntimeStub\n");
});
