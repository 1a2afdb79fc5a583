import { chmod, lstat, mkdtemp, rename, rmdir, unlink } from "node:fs/promises";
import { connect, type Server } from "node:net";
import { dirname, join } from "node:path";
import { StartError } from "../lib/start-error.ts";
import { formatListenAddress, type ListenAddress } from "./listener.ts";

/** A server that listens. */
export interface Bound {
  /** Where it listens, with the port that port 0 became. */
  readonly address: ListenAddress;
  /** Removes the socket file, unless somebody has put another one in its place. */
  release(): Promise<void>;
}

/** The longest path that fits into `sun_path` of Linux. */
const MAX_SOCKET_PATH = 107;

/** Makes a server listen. Throws a StartError that says what stands in the way. */
export async function listen(server: Server, address: ListenAddress): Promise<Bound> {
  return address.kind === "tcp" ? listenTcp(server, address) : listenUnix(server, address.path);
}

async function listenTcp(server: Server, address: ListenAddress & { kind: "tcp" }): Promise<Bound> {
  const { host, port } = address;
  try {
    await listening(server, { host, port });
  } catch (cause) {
    throw new StartError(`cannot listen on ${formatListenAddress(address)}: ${reasonOf(cause)}`, { cause });
  }
  const bound = server.address();
  const boundPort = typeof bound === "object" && bound !== null ? bound.port : port;
  return { address: { kind: "tcp", host, port: boundPort }, release: async () => {} };
}

/**
 * The socket is made in a directory that only we can enter and moved into place once its mode is right: there is no moment at which somebody else could
 * connect, and a stale socket is replaced in one step.
 */
async function listenUnix(server: Server, path: string): Promise<Bound> {
  const fail = (reason: string, cause?: unknown) =>
    new StartError(`cannot listen on ${path}: ${reason}`, { cause });
  const stage = join(dirname(path), ".s");
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH || Buffer.byteLength(stage) + 8 > MAX_SOCKET_PATH) {
    throw fail(`the path of a unix socket has at most ${MAX_SOCKET_PATH} bytes`);
  }
  const obstacle = await obstacleAt(path);
  if (obstacle !== undefined) throw fail(obstacle);
  let directory: string | undefined;
  try {
    directory = await mkdtemp(stage);
    const staged = join(directory, "s");
    await listening(server, { path: staged });
    await chmod(staged, 0o600);
    await rename(staged, path);
  } catch (cause) {
    server.close();
    throw fail(reasonOf(cause), cause);
  } finally {
    if (directory !== undefined) await rmdir(directory).catch(() => {});
  }
  const { ino, dev } = await lstat(path);
  return {
    address: { kind: "unix", path },
    async release() {
      const found = await lstat(path).catch(() => undefined);
      if (found?.ino === ino && found.dev === dev) await unlink(path).catch(() => {});
    },
  };
}

/** What keeps us from putting a socket at a path; undefined when nothing does: it is free, or a socket that nobody listens on. */
async function obstacleAt(path: string): Promise<string | undefined> {
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (found === undefined) return undefined;
  if (!found.isSocket()) return "there is a file of another kind; it is left alone";
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve("another process listens there");
    });
    socket.once("error", (error: NodeJS.ErrnoException) => {
      resolve(
        error.code === "ECONNREFUSED" || error.code === "ENOENT"
          ? undefined
          : `cannot find out whether another process listens there (${error.code})`,
      );
    });
  });
}

function listening(server: Server, where: { path: string } | { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ ...where, backlog: 511 }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

function reasonOf(cause: unknown): string {
  const code = (cause as NodeJS.ErrnoException).code;
  if (code === "EADDRINUSE") return "the address is in use";
  if (code === "EACCES") return "permission denied";
  if (code === "EADDRNOTAVAIL") return "the address is not one of this machine's";
  return cause instanceof Error ? cause.message : String(cause);
}
