import { connect as connectSocket } from "node:net";
import type { Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import type { ListenAddress } from "../../src/rpc/listener.ts";

/** The protocols that Connect's clients speak; JSON is Connect with another encoding. */
export type ConnectProtocol = "grpc" | "grpc-web" | "connect" | "connect-json";

/** The versions of HTTP. gRPC needs 2. */
export type HttpVersion = "1.1" | "2";

type ConnectOptions = Parameters<typeof createConnectTransport>[0];

/** A transport of connect-node to a TCP address or a UNIX socket. */
export function connectTransport(
  address: ListenAddress,
  protocol: ConnectProtocol,
  httpVersion: HttpVersion,
): Transport {
  const options = transportOptions(address, httpVersion);
  switch (protocol) {
    case "grpc":
      return createGrpcTransport(options as Parameters<typeof createGrpcTransport>[0]);
    case "grpc-web":
      return createGrpcWebTransport(options);
    case "connect":
      return createConnectTransport({ ...options, useBinaryFormat: true });
    case "connect-json":
      return createConnectTransport({ ...options, useBinaryFormat: false });
  }
}

function transportOptions(address: ListenAddress, httpVersion: HttpVersion): ConnectOptions {
  if (address.kind === "tcp") return { baseUrl: `http://${address.host}:${address.port}`, httpVersion };
  const { path } = address;
  const nodeOptions =
    httpVersion === "1.1" ? { socketPath: path } : { createConnection: () => connectSocket(path) };
  return { baseUrl: "http://localhost", httpVersion, nodeOptions } as ConnectOptions;
}
