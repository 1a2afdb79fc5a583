import type { DescMethod, MessageInitShape } from "@bufbuild/protobuf";
import { type CallOptions, Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { Runtime } from "../../gen/haplane/v1/runtime_pb.js";

type Methods = typeof Runtime.method;

/** A small valid request of a method. */
interface Row<Name extends keyof Methods> {
  readonly request: MessageInitShape<Methods[Name]["input"]>;
  /** How it may end on `RUNTIME_CALLS_CONFIG` when all is well. Default: answered. */
  readonly well?: readonly (Code | "OK")[];
  /** False for what haplane answers without the worker's socket. */
  readonly asks?: false;
  /** True for what waits for HAProxy longer than usual. */
  readonly patient?: true;
}

/** What the requests are about, below a stats socket and timeouts. */
export const runtimeCallsConfig = (port: number) => `frontend site
  bind 127.0.0.1:${port}
  default_backend web
backend web
  balance random
  server one 127.0.0.1:9001
  stick-table type string len 64 size 1k store gpc0
`;

const one = "backends/web/servers/one";

/** A request for every method: the type has no room for one that is missing. */
export const RUNTIME_CALLS: { readonly [Name in keyof Methods]: Row<Name> } = {
  getInfo: { request: {} },
  listStats: { request: {} },
  watchStats: { request: {} },
  listServers: { request: { parent: "backends/web" } },
  getServer: { request: { name: one } },
  addServer: {
    request: { name: "backends/web/servers/added", address: "127.0.0.1", port: 9_002 },
    well: ["OK", Code.AlreadyExists],
  },
  setServer: { request: { name: one, weight: 2 } },
  batchSetServers: { request: { requests: [{ name: one, weight: 2 }] } },
  deleteServer: { request: { name: "backends/web/servers/nobody" }, well: [Code.NotFound] },
  listFrontends: { request: {} },
  setFrontend: { request: { name: "frontends/site", maxconn: 100 } },
  clearCounters: { request: {} },
  listSessions: { request: {} },
  getSession: { request: { id: "0x1" }, well: [Code.NotFound] },
  shutdownSession: { request: { id: "0x1" }, well: [Code.NotFound] },
  listErrors: { request: {} },
  listStickTables: { request: {} },
  listStickTableEntries: { request: { table: "web" }, patient: true },
  setStickTableEntry: { request: { table: "web", key: "a", data: { gpc0: 1n } } },
  clearStickTable: { request: { table: "web", key: "a" }, patient: true },
  listPatternFiles: { request: {} },
  listPatternEntries: { request: { path: "none.map" }, well: [Code.NotFound] },
  listTlsFiles: { request: {} },
  getTlsFile: { request: { kind: 1, path: "none.pem" }, well: [Code.NotFound] },
  listOcspResponses: { request: {} },
  getOcspResponse: { request: { id: "00" }, well: [Code.NotFound] },
  listResolvers: { request: {} },
  listThreads: { request: {} },
  getActivity: { request: {} },
  execute: { request: { command: "show version" } },
  reload: { request: {}, asks: false },
  listReloads: { request: {}, asks: false },
  getReload: { request: { name: "reloads/1" }, asks: false },
};

/** A method with its row. */
export interface RuntimeCall {
  readonly method: DescMethod;
  readonly row: Row<keyof Methods>;
}

/** All of them, as the descriptor has them. Throws for a method that has no row. */
export function runtimeCalls(): readonly RuntimeCall[] {
  return Runtime.methods.map((method) => {
    const row = (RUNTIME_CALLS as Record<string, Row<keyof Methods> | undefined>)[method.localName];
    if (row === undefined) throw new Error(`${method.name} has no row`);
    return { method, row };
  });
}

/** Makes a call; of a stream, reads the first message. Answers why it failed, or what came. */
export async function callRuntime(
  transport: Transport,
  method: DescMethod,
  request: unknown,
  options: CallOptions = {},
): Promise<{ readonly error?: ConnectError; readonly message?: unknown }> {
  type Any = (request: unknown, options: CallOptions) => unknown;
  const end = new AbortController();
  const call = (createClient(Runtime, transport) as unknown as Record<string, Any>)[method.localName] as Any;
  try {
    const answer = call(request, { ...options, signal: end.signal });
    if (method.methodKind === "unary") return { message: await answer };
    const messages = (answer as AsyncIterable<unknown>)[Symbol.asyncIterator]();
    return { message: (await messages.next()).value };
  } catch (error) {
    return { error: ConnectError.from(error) };
  } finally {
    end.abort();
  }
}
