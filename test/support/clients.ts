import { execFileSync, spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { join } from "node:path";
import { findProgram, isExecutable, root, tools } from "./programs.ts";

/** A client that is not ours, for end-to-end tests; or why it is not there. */
export type Client =
  | { readonly name: string; readonly path: string; readonly version: string }
  | { readonly name: string; readonly path: undefined; readonly missing: string };

/** The gRPC client that people use at a terminal. `.ci/run` builds it where Go is there. */
export const grpcurl = (): Client =>
  find(
    "grpcurl",
    findProgram("grpcurl"),
    ["--version"],
    "not on PATH, and not built: node scripts/setup.mjs ci",
  );

/** buf, whose `buf curl` speaks gRPC, gRPC-Web and Connect. It comes with the npm packages. */
export const buf = (): Client =>
  find("buf", join(root, "node_modules", ".bin", "buf"), ["--version"], "the npm packages are not installed");

/** curl, for Connect's JSON. */
export const curl = (): Client => find("curl", findProgram("curl"), ["--version"], "not on PATH");

/** A Python with grpcio and its generator. `.ci/run` installs it where Python is there. */
export const python = (): Client =>
  find(
    "python grpcio",
    join(tools, "python", "bin", "python"),
    ["-c", "import grpc, grpc_tools; print(grpc.__version__)"],
    "not installed: node scripts/setup.mjs ci",
  );

/** "clients: buf 1.74.0, curl 7.88.1; without grpcurl (not on PATH …)". For the test's diagnostics. */
export function describeClients(clients: readonly Client[]): string {
  const there = clients.flatMap((client) =>
    client.path === undefined ? [] : `${client.name} ${client.version}`,
  );
  const missing = clients.flatMap((client) =>
    client.path === undefined ? `${client.name} (${client.missing})` : [],
  );
  return `clients: ${there.join(", ") || "none"}${missing.length > 0 ? `; without ${missing.join(", ")}` : ""}`;
}

/**
 * Generates Python modules from every proto of ours, and from google.rpc's for what errors carry, into a directory, which then belongs on PYTHONPATH. They are named
 * as the protos: `haplane.v1.runtime_pb2`, `haplane.v1.runtime_pb2_grpc`.
 */
export function generatePythonModules(interpreter: string, directory: string): void {
  const protoc = (cwd: string, protos: readonly string[]) =>
    execFileSync(
      interpreter,
      [
        ...["-m", "grpc_tools.protoc", "-I."],
        ...[`--python_out=${directory}`, `--grpc_python_out=${directory}`, ...protos],
      ],
      { cwd, stdio: ["ignore", "ignore", "pipe"] },
    );
  protoc(join(root, "proto"), globSync("**/*.proto", { cwd: join(root, "proto") }));
  protoc(join(root, "node_modules", "google-proto-files"), [
    "google/rpc/status.proto",
    "google/rpc/error_details.proto",
  ]);
}

function find(
  name: string,
  path: string | undefined,
  askVersion: readonly string[],
  whyMissing: string,
): Client {
  if (path === undefined || !isExecutable(path)) return { name, path: undefined, missing: whyMissing };
  const { status, error, stdout, stderr } = spawnSync(path, askVersion, { encoding: "utf8" });
  const said = `${stdout}${stderr}`.trim();
  if (status !== 0)
    return { name, path: undefined, missing: `${path} does not run: ${error?.message ?? said}` };
  return { name, path, version: /\d+\.\d+\S*/.exec(said)?.[0] ?? said };
}
