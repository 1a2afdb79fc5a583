import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Client, Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  PreconditionFailureSchema,
  ResourceInfoSchema,
} from "../../gen/google/rpc/error_details_pb.js";
import { Configuration } from "../../gen/haplane/v1/configuration_pb.js";
import { grpcJsTransport } from "./grpc-js-transport.ts";
import type { TestHaplane } from "./haplane.ts";
import { connectTransport } from "./transports.ts";

/** A typed client of the service. */
export type ConfigurationClient = Client<typeof Configuration>;

/** The stacks that the contract holds for. */
export type Stack = "grpc-js" | "Connect" | "Connect JSON";

/** A client of a running haplane over one stack, as admin. */
export function configurationClient(
  haplane: Pick<TestHaplane, "dir">,
  stack: Stack,
): { readonly client: ConfigurationClient; readonly close: () => void } {
  const { transport, close } = adminTransport(haplane, stack);
  return { client: createClient(Configuration, transport), close };
}

/** The way to a running haplane over one stack, as admin. */
export function adminTransport(
  { dir }: Pick<TestHaplane, "dir">,
  stack: Stack,
): { readonly transport: Transport; readonly close: () => void } {
  const token = readFileSync(join(dir, "state", "admin.token"), "utf8").trim();
  const socket = (name: string) => ({ kind: "unix", path: join(dir, "state", name) }) as const;
  if (stack === "grpc-js") {
    const transport = grpcJsTransport(socket("grpc.sock"));
    return { transport: withToken(transport, token), close: transport.close };
  }
  const protocol = stack === "Connect" ? "connect" : "connect-json";
  const transport = connectTransport(socket("connect.sock"), protocol, "1.1");
  return { transport: withToken(transport, token), close: () => {} };
}

function withToken(transport: Transport, token: string): Transport {
  const authorized = (header: ConstructorParameters<typeof Headers>[0]) => {
    const headers = new Headers(header);
    headers.set("authorization", `Bearer ${token}`);
    return headers;
  };
  return {
    unary: (method, signal, timeoutMs, header, ...rest) =>
      transport.unary(method, signal, timeoutMs, authorized(header), ...rest),
    stream: (method, signal, timeoutMs, header, ...rest) =>
      transport.stream(method, signal, timeoutMs, authorized(header), ...rest),
  };
}

/** What a failed call said: code, reason, and the fields or subjects of its violations. */
export interface Failure {
  readonly code: string;
  readonly reason: string | undefined;
  readonly fields: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly message: string;
  /** Name of the resource that it is about. */
  readonly resource: string | undefined;
}

/** Awaits a call that has to fail. */
export async function failureOf(call: Promise<unknown>): Promise<Failure> {
  const error = await call.then(
    () => {
      throw new Error("it did not fail");
    },
    (reason: unknown) => reason,
  );
  if (!(error instanceof ConnectError)) throw error;
  const [info] = error.findDetails(ErrorInfoSchema);
  return {
    code: Code[error.code],
    reason: info?.reason,
    metadata: info?.metadata ?? {},
    fields: [
      ...error
        .findDetails(BadRequestSchema)
        .flatMap((detail) => detail.fieldViolations.map(({ field }) => field)),
      ...error
        .findDetails(PreconditionFailureSchema)
        .flatMap((detail) => detail.violations.map(({ subject }) => subject)),
    ],
    message: error.rawMessage,
    resource: error.findDetails(ResourceInfoSchema)[0]?.resourceName,
  };
}
