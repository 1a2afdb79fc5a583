import { after, before } from "node:test";
import { type Client, createClient } from "@connectrpc/connect";
import { Runtime } from "../../gen/haplane/v1/runtime_pb.js";
import { adminTransport, type Stack } from "./configuration-client.ts";
import { startHaplane, type TestHaplane } from "./haplane.ts";
import { testConfig } from "./haproxy.ts";

/** A haplane for the tests of a suite, and clients of its `Runtime`. */
export interface RuntimeWorld {
  readonly haplane: TestHaplane;
  client(stack?: Stack): Client<typeof Runtime>;
}

/** The stacks that a contract is tried over. */
export const STACKS: readonly Stack[] = ["grpc-js", "Connect", "Connect JSON"];

/** Starts a haplane before the tests of the suite, on `body` below a stats socket and timeouts, and ends it after them. */
export function runtimeWorld(body: string | (() => Promise<string>)): RuntimeWorld {
  let haplane: TestHaplane | undefined;
  const closers: (() => void)[] = [];
  const started = () => {
    if (haplane === undefined) throw new Error("haplane is started before the tests");
    return haplane;
  };
  before(async () => {
    const text = typeof body === "string" ? body : await body();
    haplane = await startHaplane((statsSocket) => testConfig({ statsSocket }, text));
  });
  after(async () => {
    for (const close of closers) close();
    await haplane?.stop();
  });
  return {
    get haplane() {
      return started();
    },
    client(stack = "grpc-js") {
      const { transport, close } = adminTransport(started(), stack);
      closers.push(close);
      return createClient(Runtime, transport);
    },
  };
}
