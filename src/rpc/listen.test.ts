import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readdir, rm, stat, symlink, writeFile } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { listen } from "./listen.ts";

let dir: string;
let servers: Server[];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "haplane-listen-"));
  servers = [];
});
afterEach(async () => {
  for (const server of servers) server.close();
  await rm(dir, { recursive: true });
});

function newServer(): Server {
  const server = createServer((socket) => socket.on("error", () => {}).end("hello"));
  servers.push(server);
  return server;
}

async function read(path: string): Promise<string> {
  const socket = connect(path).setEncoding("utf8");
  const [text] = await once(socket, "data");
  return text;
}

/** Leaves a socket file behind that nobody listens on, as a killed process does. */
async function leaveStaleSocket(path: string): Promise<void> {
  const script = `require("node:net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
  assert.equal(spawnSync(process.execPath, ["-e", script]).signal, "SIGKILL");
  assert.ok((await stat(path)).isSocket());
}

test("a socket is for its owner alone, whatever the umask", async () => {
  const path = join(dir, "a.sock");
  const umask = process.umask(0);
  try {
    await listen(newServer(), { kind: "unix", path });
  } finally {
    process.umask(umask);
  }
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.equal(await read(path), "hello");
  assert.deepEqual(await readdir(dir), ["a.sock"], "nothing else is left behind");
});

test("a stale socket is replaced", async () => {
  const path = join(dir, "a.sock");
  await leaveStaleSocket(path);
  await listen(newServer(), { kind: "unix", path });
  assert.equal(await read(path), "hello");
});

test("a socket that somebody listens on is left alone", async () => {
  const path = join(dir, "a.sock");
  await listen(newServer(), { kind: "unix", path });
  await assert.rejects(listen(newServer(), { kind: "unix", path }), /a\.sock: another process listens there/);
  assert.equal(await read(path), "hello");
});

test("a file of another kind is left alone, a link too", async () => {
  const path = join(dir, "file");
  await writeFile(path, "precious");
  await symlink("nowhere", join(dir, "link"));
  await mkdir(join(dir, "directory"));
  for (const name of ["file", "link", "directory"]) {
    await assert.rejects(listen(newServer(), { kind: "unix", path: join(dir, name) }), /another kind/);
  }
  assert.deepEqual((await readdir(dir)).sort(), ["directory", "file", "link"]);
});

test("a path that does not fit is refused, not cut short", async () => {
  const path = join(dir, "x".repeat(100));
  await assert.rejects(listen(newServer(), { kind: "unix", path }), /at most 107 bytes/);
});

test("a directory that is not there, or not ours, is said", async () => {
  await assert.rejects(
    listen(newServer(), { kind: "unix", path: join(dir, "no", "a.sock") }),
    /no such file/,
  );
  if (process.getuid?.() === 0) return;
  await chmod(dir, 0o500);
  await assert.rejects(listen(newServer(), { kind: "unix", path: join(dir, "a.sock") }), /permission denied/);
  await chmod(dir, 0o700);
});

test("release removes the file, but not another one's", async () => {
  const path = join(dir, "a.sock");
  const first = await listen(newServer(), { kind: "unix", path });
  await first.release();
  assert.deepEqual(await readdir(dir), []);
  await writeFile(path, "precious");
  await first.release();
  assert.deepEqual(await readdir(dir), ["a.sock"]);
});

test("a port that is taken is said", async () => {
  const { address } = await listen(newServer(), { kind: "tcp", host: "127.0.0.1", port: 0 });
  assert.ok(address.kind === "tcp" && address.port > 0);
  await assert.rejects(listen(newServer(), address), /127\.0\.0\.1:\d+: the address is in use/);
});
