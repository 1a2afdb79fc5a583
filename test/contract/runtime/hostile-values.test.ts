import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { Code, type ConnectError } from "@connectrpc/connect";
import { BadRequestSchema } from "../../../gen/google/rpc/error_details_pb.js";
import { adminTransport } from "../../support/configuration-client.ts";
import { startHaplane, type TestHaplane } from "../../support/haplane.ts";
import { testConfig } from "../../support/haproxy.ts";
import { freePort } from "../../support/ports.ts";
import { callRuntime, runtimeCalls, runtimeCallsConfig } from "../../support/runtime-calls.ts";

/*
 * Every string of every request of Runtime, with what could end a command and begin another. HAProxy itself is the judge: the other command would put a server in maintenance.
 */

const INJECTED = "set server canary/one state maint";

const HOSTILE: readonly string[] = [
  ...[`a\n${INJECTED}`, `a\r\n${INJECTED}`, `a;${INJECTED}`, `a ; ${INJECTED}`, `a\\;${INJECTED}`],
  ...[
    `a\\\n${INJECTED}`,
    `a <<\n${INJECTED}\n\n`,
    `a <<x\n${INJECTED}`,
    `"a\n${INJECTED}"`,
    `'a;${INJECTED}'`,
  ],
  ...[`a%0A${INJECTED.replaceAll(" ", "%20")}`, `a%3B${INJECTED.replaceAll(" ", "%20")}`],
  ...["a # b", 'a"b', "a'b", "a\\", "a b", "a\0b", "\x1b", "x".repeat(64 * 1_024), "é🙂\u2028"],
];

/** A way to put a value into a message, and how its field is called in an error. */
interface Place {
  readonly field: string;
  put(request: Record<string, unknown>, value: string): Record<string, unknown>;
}

function placesIn({ fields }: DescMessage): Place[] {
  return fields.flatMap((field) => placesOf(field));
}

function placesOf(field: DescField): Place[] {
  const key = field.localName;
  const place = (inner: (value: string) => unknown): Place => ({
    field: field.name,
    put: (request, value) => ({ ...request, [key]: inner(value) }),
  });
  const isName = field.name === "name" || field.name === "parent";
  if (field.fieldKind === "map" && field.mapKey === ScalarType.STRING)
    return [place((value) => ({ [value]: 1n }))];
  if (field.fieldKind === "list" && field.listKind === "scalar" && field.scalar === ScalarType.STRING)
    return [place((value) => [value])];
  if (field.fieldKind === "list" && field.listKind === "message")
    return placesIn(field.message).map((inner) => ({
      field: `${field.name}[0].${inner.field}`,
      put: (request, value) => {
        const [first] = (request[key] as Record<string, unknown>[] | undefined) ?? [];
        return { ...request, [key]: [inner.put(first ?? { comparison: 1 }, value)] };
      },
    }));
  if (field.fieldKind !== "scalar" || field.scalar !== ScalarType.STRING) return [];
  if (!isName) return [place((value) => value)];
  // As the last id of a resource's name, and as the id of its parent.
  const within = (at: number): Place => ({
    field: field.name,
    put: (request, value) => {
      const parts = String(request[key]).split("/");
      parts[parts.length - at] = encodeURIComponent(value);
      return { ...request, [key]: parts.join("/") };
    },
  });
  return [place((value) => value), within(1), within(3)];
}

describe("hostile values in requests of Runtime", { timeout: 120_000 }, () => {
  let haplane: TestHaplane;
  before(async () => {
    const body = `${runtimeCallsConfig(await freePort())}backend canary\n  server one 127.0.0.1:9009\n`;
    haplane = await startHaplane((statsSocket) => testConfig({ statsSocket }, body));
  });
  after(() => haplane?.stop());

  for (const { method, row } of runtimeCalls()) {
    const places = placesIn(method.input);
    if (places.length === 0) continue;
    test(`${method.name}: none becomes a command of its own, and what is refused is named`, async () => {
      const { transport, close } = adminTransport(haplane, "grpc-js");
      const wrong: string[] = [];
      for (const { field, put } of places)
        for (const value of HOSTILE) {
          const request = put(row.request as Record<string, unknown>, value);
          const { error } = await callRuntime(transport, method, request, { timeoutMs: 20_000 });
          const problem = error && problemOf(error, field);
          if (problem !== undefined)
            wrong.push(`${JSON.stringify(value).slice(0, 60)} in ${field}: ${problem}`);
        }
      close();
      assert.deepEqual(wrong, []);
      const canary = (await haplane.ask("show servers state canary")).split("\n")[2]?.split(" ");
      assert.deepEqual([canary?.[3], canary?.[6]], ["one", "0"], "the canary was not touched");
    });
  }
});

const QUOTED: readonly Code[] = [Code.NotFound, Code.AlreadyExists, Code.FailedPrecondition];

/** What is wrong with a refusal. */
function problemOf(error: ConnectError, field: string): string | undefined {
  // What is quoted right is a name like any other.
  if (QUOTED.includes(error.code)) return undefined;
  if (error.code !== Code.InvalidArgument) return String(error);
  const named = error
    .findDetails(BadRequestSchema)
    .flatMap(({ fieldViolations }) => fieldViolations.map((violation) => violation.field));
  return named.some((name) => name === field) ? undefined : `names ${named.join(", ") || "no field"}`;
}
