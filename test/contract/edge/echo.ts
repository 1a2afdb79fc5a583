import {
  create,
  createFileRegistry,
  type DescService,
  type MessageShape,
  setExtension,
} from "@bufbuild/protobuf";
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  file_google_protobuf_wrappers,
  MethodDescriptorProtoSchema,
  MethodOptionsSchema,
  type StringValueSchema,
} from "@bufbuild/protobuf/wkt";
import { file_haplane_v1_options, Role, role } from "../../../gen/haplane/v1/options_pb.js";
import type { CallContext, Service } from "../../../src/rpc/handler.ts";

/** The one message of the service: a string. */
export type Text = MessageShape<typeof StringValueSchema>;

/** What a test may do in each method. */
export interface EchoHandlers {
  say(request: Text, context: CallContext): Promise<unknown>;
  change(request: Text, context: CallContext): Promise<unknown>;
  watch(request: Text, context: CallContext): AsyncIterable<unknown>;
  upload(requests: AsyncIterable<Text>, context: CallContext): Promise<unknown>;
  talk(requests: AsyncIterable<Text>, context: CallContext): AsyncIterable<unknown>;
}

/** `haplane.test.v1.Echo`: one method of each kind, with the roles that matter. */
export const Echo: DescService = buildService();

/** The handlers that a test starts from; it puts its own in their place. */
export function defaultHandlers(): EchoHandlers {
  return {
    async say({ value }) {
      return { value };
    },
    async change({ value }) {
      return { value };
    },
    async *watch({ value }) {
      for (const letter of value) yield { value: letter };
    },
    async upload(requests) {
      let value = "";
      for await (const request of requests) value += request.value;
      return { value };
    },
    async *talk(requests) {
      for await (const { value } of requests) yield { value };
    },
  };
}

/** The service over handlers that can be changed while it is served. */
export function echoService(handlers: EchoHandlers): Service {
  return {
    desc: Echo,
    names: new Map(),
    handlers: {
      say: (request, context) => handlers.say(request as Text, context),
      change: (request, context) => handlers.change(request as Text, context),
      watch: (request, context) => handlers.watch(request as Text, context),
      upload: (requests, context) => handlers.upload(requests as AsyncIterable<Text>, context),
      talk: (requests, context) => handlers.talk(requests as AsyncIterable<Text>, context),
    },
  };
}

function buildService(): DescService {
  const method = (name: string, needs: Role, clientStreaming: boolean, serverStreaming: boolean) => {
    const options = create(MethodOptionsSchema);
    setExtension(options, role, needs);
    const type = ".google.protobuf.StringValue";
    const found = { name, inputType: type, outputType: type, clientStreaming, serverStreaming, options };
    return create(MethodDescriptorProtoSchema, found);
  };
  const file: FileDescriptorProto = create(FileDescriptorProtoSchema, {
    name: "haplane/test/v1/echo.proto",
    package: "haplane.test.v1",
    syntax: "proto3",
    dependency: ["google/protobuf/wrappers.proto", "haplane/v1/options.proto"],
    service: [
      {
        name: "Echo",
        method: [
          method("Say", Role.VIEWER, false, false),
          method("Change", Role.OPERATOR, false, false),
          method("Watch", Role.VIEWER, false, true),
          method("Upload", Role.EDITOR, true, false),
          method("Talk", Role.VIEWER, true, true),
        ],
      },
    ],
  });
  const imports = new Map(
    [file_google_protobuf_wrappers, file_haplane_v1_options].map((found) => [`${found.name}.proto`, found]),
  );
  const service = createFileRegistry(file, (name) => imports.get(name)).getService("haplane.test.v1.Echo");
  if (service === undefined) throw new Error("the test service cannot be built");
  return service;
}
