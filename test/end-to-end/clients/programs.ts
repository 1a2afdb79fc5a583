import { spawn } from "node:child_process";
import process from "node:process";
import type { DescMethod, JsonObject } from "@bufbuild/protobuf";
import { root } from "../../support/programs.ts";
import {
  asObject,
  type Driver,
  type Failure,
  type Outcome,
  readConnectError,
  type Streaming,
  streamBuffer,
  takeObjects,
} from "./driver.ts";

/** A program that is run once for each call. */
interface CallProgram {
  readonly path: string;
  /** Its arguments; the request is in them. */
  args(method: DescMethod, request: JsonObject, token: string): readonly string[];
  /** What it printed on standard error, when it says that the call has failed. */
  readFailure(stderr: string): Failure;
}

/** Drives grpcurl, which knows the server by reflection alone. `target`: what comes before the method. */
export function grpcurlDriver(path: string, target: readonly string[], admin: string): Driver {
  return programDriver(
    {
      path,
      args: (method, request, token) => [
        ...["-plaintext", "-format-error", ...header(token), "-d", JSON.stringify(withPaths(request))],
        ...[...target, `${method.parent.typeName}/${method.name}`],
      ],
      readFailure(stderr) {
        const {
          code,
          message,
          details = [],
        } = JSON.parse(stderr) as {
          code: number;
          message: string;
          details?: (JsonObject & { "@type": string })[];
        };
        return {
          code: CODES[code] ?? String(code),
          reason: message,
          // It has decoded them by itself.
          details: details.map(({ "@type": type, ...value }) => ({
            type: type.slice(type.lastIndexOf("/") + 1),
            value,
          })),
        };
      },
    },
    admin,
  );
}

/** Drives `buf curl`. `options`: its protocol, and where the schema comes from. */
export function bufDriver(path: string, baseUrl: string, options: readonly string[], admin: string): Driver {
  return programDriver(
    {
      path,
      args: (method, request, token) => [
        ...["curl", ...options, ...header(token), "-d", JSON.stringify(request)],
        `${baseUrl}/${method.parent.typeName}/${method.name}`,
      ],
      readFailure: (stderr) => readConnectError(JSON.parse(stderr) as JsonObject),
    },
    admin,
  );
}

function programDriver(program: CallProgram, admin: string): Driver {
  const open = (method: DescMethod, request: JsonObject, token: string): Streaming => {
    // In a group of its own, since what npm installs as buf only starts the real one.
    const child = spawn(program.path, program.args(method, request, token), {
      cwd: root,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let isCancelled = false;
    const stream = streamBuffer(() => {
      isCancelled = true;
      const hasEnded = child.exitCode !== null || child.signalCode !== null;
      if (child.pid !== undefined && !hasEnded) process.kill(-child.pid, "SIGINT");
    });
    let unread = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (chunk) => {
      const { objects, rest } = takeObjects(unread + chunk);
      unread = rest;
      objects.forEach(stream.push);
    });
    child.stderr.setEncoding("utf8").on("data", (chunk) => {
      stderr += chunk;
    });
    child.on("close", (exit) => {
      if (isCancelled) stream.end({ code: "CANCELLED" });
      else if (exit === 0) stream.end({ code: "OK" });
      else stream.end(program.readFailure(stderr));
    });
    return stream;
  };
  return {
    call: async (method, request, token = admin) => unary(open(method, request, token)),
    stream: (method, request, token = admin) => open(method, request, token),
    close: async () => {},
  };
}

async function unary({ ended, messages }: Streaming): Promise<Outcome> {
  const end = await ended;
  if (end.code === "OK") return { code: "OK", message: asObject(messages[0]) };
  return end as Failure;
}

/** Drives curl over Connect's JSON, as a script would. `connection`: options that say how it connects. */
export function curlDriver(
  path: string,
  baseUrl: string,
  connection: readonly string[],
  admin: string,
): Driver {
  const run = (
    method: DescMethod,
    token: string,
    type: string,
    body: Uint8Array,
    more: readonly string[],
  ) => {
    const child = spawn(
      path,
      [
        ...["--silent", "--no-buffer", ...connection, ...more, ...header(token)],
        ...["-H", `Content-Type: ${type}`, "-H", "Connect-Protocol-Version: 1", "--data-binary", "@-"],
        `${baseUrl}/${method.parent.typeName}/${method.name}`,
      ],
      { stdio: ["pipe", "pipe", "inherit"] },
    );
    child.stdin.end(body);
    return child;
  };
  return {
    async call(method, request, token = admin) {
      const child = run(method, token, "application/json", Buffer.from(JSON.stringify(request)), [
        ...["--write-out", "\n%{http_code}"],
      ]);
      let output = "";
      for await (const chunk of child.stdout.setEncoding("utf8")) output += chunk;
      const end = output.lastIndexOf("\n");
      const answer = JSON.parse(output.slice(0, end)) as JsonObject;
      return output.slice(end + 1) === "200" ? { code: "OK", message: answer } : readConnectError(answer);
    },
    stream(method, request, token = admin) {
      const child = run(method, token, "application/connect+json", envelope(request), []);
      const stream = streamBuffer(() => child.kill("SIGTERM"));
      let unread = Buffer.alloc(0);
      child.stdout.on("data", (chunk) => {
        unread = Buffer.concat([unread, chunk]);
        while (unread.length >= 5 && unread.length >= 5 + unread.readUInt32BE(1)) {
          const [flags = 0, length] = [unread[0], unread.readUInt32BE(1)];
          const message = JSON.parse(unread.toString("utf8", 5, 5 + length)) as JsonObject;
          unread = unread.subarray(5 + length);
          if ((flags & END_STREAM) === 0) stream.push(message);
          else
            stream.end(
              message.error === undefined ? { code: "OK" } : readConnectError(asObject(message.error)),
            );
        }
      });
      child.on("close", () => stream.end({ code: "CANCELLED" }));
      return stream;
    },
    close: async () => {},
  };
}

/** The flag of Connect's last message in a stream. */
const END_STREAM = 0b10;

/** A message in Connect's streaming form: flags, length, JSON. */
function envelope(message: JsonObject): Buffer {
  const json = Buffer.from(JSON.stringify(message));
  const head = Buffer.alloc(5);
  head.writeUInt32BE(json.length, 1);
  return Buffer.concat([head, json]);
}

function header(token: string): string[] {
  return token === "" ? [] : ["-H", `Authorization: Bearer ${token}`];
}

/** grpcurl takes a field mask only as the message that it is, not in its form of JSON. */
function withPaths(request: JsonObject): JsonObject {
  const { updateMask, ...rest } = request;
  return typeof updateMask === "string" ? { ...rest, updateMask: { paths: updateMask.split(",") } } : request;
}

/** The names of the codes, by number. */
export const CODES = [
  ...["OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS"],
  ...["PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE"],
  ...["UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"],
];
