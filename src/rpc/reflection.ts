import { create, type DescService, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { status as Code } from "@grpc/grpc-js";
import { file_google_rpc_error_details } from "../../gen/google/rpc/error_details_pb.js";
import {
  type ServerReflectionRequest,
  ServerReflectionRequestSchema,
  type ServerReflectionResponse,
  ServerReflectionResponseSchema,
  ServerReflection as V1,
} from "../../gen/grpc/reflection/v1/reflection_pb.js";
import {
  ServerReflection as V1Alpha,
  ServerReflectionRequestSchema as V1AlphaRequestSchema,
  ServerReflectionResponseSchema as V1AlphaResponseSchema,
} from "../../gen/grpc/reflection/v1alpha/reflection_pb.js";
import { type DescriptorIndex, indexDescriptors } from "./descriptor-index.ts";
import { Encoded } from "./encoded.ts";
import { type Service, service } from "./handler.ts";

/**
 * Server reflection over the descriptors of what is served, so that clients such as grpcurl list and call everything without a proto file. v1alpha is v1 under
 * its former name: the messages have the same wire form. Both list themselves too.
 */
export function reflectionServices(served: readonly DescService[]): Service[] {
  // The details of an error are of types that no service mentions; a client that knows its server by reflection alone asks for them.
  const index = indexDescriptors([...served, V1, V1Alpha], [file_google_rpc_error_details]);
  return [
    service(V1, {
      async *serverReflectionInfo(requests) {
        for await (const request of requests) yield respond(index, request);
      },
    }),
    service(V1Alpha, {
      async *serverReflectionInfo(requests) {
        for await (const request of requests) {
          const bytes = toBinary(V1AlphaRequestSchema, request);
          const response = respond(index, fromBinary(ServerReflectionRequestSchema, bytes));
          yield Encoded.ofBytes(V1AlphaResponseSchema, toBinary(ServerReflectionResponseSchema, response));
        }
      },
    }),
  ];
}

function respond(index: DescriptorIndex, request: ServerReflectionRequest): ServerReflectionResponse {
  return create(ServerReflectionResponseSchema, {
    validHost: request.host,
    originalRequest: request,
    messageResponse: answer(index, request.messageRequest),
  });
}

type MessageResponse = NonNullable<
  MessageInitShape<typeof ServerReflectionResponseSchema>["messageResponse"]
>;

function answer(index: DescriptorIndex, asked: ServerReflectionRequest["messageRequest"]): MessageResponse {
  switch (asked.case) {
    case "listServices":
      return {
        case: "listServicesResponse",
        value: { service: index.services.map((name) => ({ name })) },
      };
    case "fileByFilename":
      return fileResponse(index.byFilename(asked.value), `file ${asked.value}`);
    case "fileContainingSymbol":
      return fileResponse(index.bySymbol(asked.value), `symbol ${asked.value}`);
    case "fileContainingExtension": {
      const { containingType, extensionNumber } = asked.value;
      const files = index.byExtension(containingType, extensionNumber);
      return fileResponse(files, `extension ${extensionNumber} of ${containingType}`);
    }
    case "allExtensionNumbersOfType": {
      const extensionNumber = index.extensionNumbers(asked.value);
      if (extensionNumber === undefined) return notFound(`message ${asked.value}`);
      return {
        case: "allExtensionNumbersResponse",
        value: { baseTypeName: asked.value, extensionNumber: [...extensionNumber] },
      };
    }
    case undefined:
      return failure(Code.INVALID_ARGUMENT, "message_request is not set");
  }
}

function fileResponse(files: readonly Uint8Array[] | undefined, what: string): MessageResponse {
  if (files === undefined) return notFound(what);
  return { case: "fileDescriptorResponse", value: { fileDescriptorProto: [...files] } };
}

function notFound(what: string): MessageResponse {
  return failure(Code.NOT_FOUND, `there is no ${what}`);
}

function failure(errorCode: Code, errorMessage: string): MessageResponse {
  return { case: "errorResponse", value: { errorCode, errorMessage } };
}
