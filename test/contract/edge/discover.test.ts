import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import type { ListenAddress } from "../../../src/rpc/listener.ts";
import { buf, type Client, grpcurl } from "../../support/clients.ts";
import { startEdge, type TestEdge, tokens } from "./harness.ts";

const run = promisify(execFile);
const places = ["grpc", "grpcSocket", "connect", "connectSocket"] as const;
const services = [
  "grpc.health.v1.Health",
  "grpc.reflection.v1.ServerReflection",
  "grpc.reflection.v1alpha.ServerReflection",
  "haplane.test.v1.Echo",
];

let edge: TestEdge;
before(async () => {
  edge = await startEdge();
});
after(() => edge.close());

function pathOf(client: Client): string {
  assert.ok(client.path !== undefined);
  return client.path;
}

describe("buf curl lists and calls everything without a schema", () => {
  const path = pathOf(buf());
  for (const place of places) {
    // connect-node's three protocols share a listener, the two versions of reflection an index: every pair is not needed.
    const kinds = place.startsWith("grpc")
      ? [["grpc", "grpc-v1"] as const, ["grpc", "grpc-v1alpha"] as const]
      : [["connect", "grpc-v1"] as const, ["grpcweb", "grpc-v1alpha"] as const];
    for (const [protocol, version] of kinds) {
      test(`${protocol}, reflection ${version}, ${place}`, async () => {
        const curl = async (url: string, ...args: string[]) => {
          const { where, base } = target(edge.places[place]);
          const common = [
            "curl",
            "--http2-prior-knowledge",
            "--protocol",
            protocol,
            "--reflect-protocol",
            version,
            ...where,
          ];
          return (await run(path, [...common, ...args, `${base}${url}`])).stdout;
        };
        const authorization = ["-H", `Authorization: Bearer ${tokens.admin}`];
        assert.deepEqual((await curl("", "--list-services")).trim().split("\n"), services);
        const methods = await curl("", "--list-methods");
        for (const method of ["Say", "Change", "Watch", "Upload", "Talk"]) {
          assert.match(methods, new RegExp(`^haplane\\.test\\.v1\\.Echo/${method}$`, "m"));
        }
        const say = "/haplane.test.v1.Echo/Say";
        assert.equal((await curl(say, ...authorization, "-d", '"hello"')).trim(), '"hello"');
        const watch = await curl("/haplane.test.v1.Echo/Watch", ...authorization, "-d", '"ab"');
        assert.deepEqual(watch.trim().split(/\s+/), ['"a"', '"b"']);
        assert.match(await curl("/grpc.health.v1.Health/Check", "-d", "{}"), /"status": "SERVING"/);
        await assert.rejects(curl(say, "-d", '"hello"'), ({ stderr }) => /unauthenticated/.test(stderr));
      });
    }
  }
});

describe("grpcurl does too", { skip: grpcurl().path === undefined && "grpcurl is not there" }, () => {
  for (const place of places) {
    test(place, async () => {
      const path = pathOf(grpcurl());
      const address = edge.places[place];
      const target =
        address.kind === "tcp" ? [`${address.host}:${address.port}`] : [`unix://${address.path}`];
      const ask = async (before: string[], ...after: string[]) => {
        return (await run(path, ["-plaintext", ...before, ...target, ...after])).stdout;
      };
      assert.deepEqual((await ask([], "list")).trim().split("\n"), services);
      assert.match(await ask([], "describe", "haplane.test.v1.Echo.Say"), /rpc Say/);
      const authorization = ["-H", `authorization: Bearer ${tokens.admin}`];
      const said = await ask([...authorization, "-d", '"hello"'], "haplane.test.v1.Echo/Say");
      assert.equal(said.trim(), '"hello"');
    });
  }
});

function target(address: ListenAddress): { where: string[]; base: string } {
  if (address.kind === "tcp") return { where: [], base: `http://${address.host}:${address.port}` };
  return { where: ["--unix-socket", address.path], base: "http://localhost" };
}
