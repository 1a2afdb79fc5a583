import {
  create,
  createFileRegistry,
  type DescMethod,
  type DescService,
  fromBinary,
} from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { type Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.js";

/** Every service that a server lists by reflection, with descriptors that come from it alone. Needs no credentials where reflection is open. */
export async function reflectServices(transport: Transport): Promise<DescService[]> {
  const { listServices, filesOf } = reflectionClient(transport);
  const names = await listServices();
  const files = new Map<string, ReturnType<typeof parseFile>>();
  for (const name of names) {
    for (const file of (await filesOf(name)).map(parseFile)) files.set(file.name, file);
  }
  const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: [...files.values()] }));
  return names.map((name) => {
    const service = registry.getService(name);
    if (service === undefined) throw new Error(`the server lists ${name}, but gives no descriptor of it`);
    return service;
  });
}

/** With which code an empty request ends; a stream that sends something counts as OK. */
export async function codeOf(
  transport: Transport,
  method: DescMethod,
  headers: Readonly<Record<string, string>> = {},
): Promise<Code | "OK"> {
  const giveUp = new AbortController();
  const request = create(method.input);
  try {
    if (method.methodKind === "unary") {
      await transport.unary(method as Unary, undefined, undefined, headers, request);
    } else {
      const { message } = await transport.stream(
        method as Streaming,
        giveUp.signal,
        undefined,
        headers,
        once(request),
      );
      for await (const _ of message) break;
    }
    return "OK";
  } catch (error) {
    return ConnectError.from(error).code;
  } finally {
    giveUp.abort();
  }
}

type Unary = Parameters<Transport["unary"]>[0];
type Streaming = Parameters<Transport["stream"]>[0];

async function* once<T>(value: T): AsyncGenerator<T> {
  yield value;
}

function parseFile(bytes: Uint8Array) {
  return fromBinary(FileDescriptorProtoSchema, bytes);
}

function reflectionClient(transport: Transport) {
  const client = createClient(ServerReflection, transport);
  type Request = Parameters<typeof client.serverReflectionInfo>[0] extends AsyncIterable<infer R> ? R : never;
  const ask = async (messageRequest: NonNullable<Request["messageRequest"]>) => {
    for await (const { messageResponse } of client.serverReflectionInfo(once({ messageRequest })))
      return messageResponse;
    throw new Error("no answer");
  };
  return {
    async listServices(): Promise<string[]> {
      const answer = await ask({ case: "listServices", value: "" });
      if (answer.case !== "listServicesResponse") throw new Error(`answer to listServices: ${answer.case}`);
      return answer.value.service.map(({ name }) => name);
    },
    async filesOf(symbol: string): Promise<Uint8Array[]> {
      const answer = await ask({ case: "fileContainingSymbol", value: symbol });
      if (answer.case !== "fileDescriptorResponse") throw new Error(`no file has ${symbol}`);
      return answer.value.fileDescriptorProto;
    },
  };
}
