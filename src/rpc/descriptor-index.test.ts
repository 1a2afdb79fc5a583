import assert from "node:assert/strict";
import { test } from "node:test";
import { createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { file_google_rpc_error_details } from "../../gen/google/rpc/error_details_pb.js";
import { Events } from "../../gen/haplane/v1/events_pb.js";
import { ServiceDiscovery } from "../../gen/haplane/v1/service_discovery_pb.js";
import { indexDescriptors } from "./descriptor-index.ts";

const index = indexDescriptors([Events, ServiceDiscovery], [file_google_rpc_error_details]);

function read(files: readonly Uint8Array[] | undefined): FileDescriptorProto[] {
  assert.ok(files !== undefined);
  return files.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
}

test("every answer is complete: each file comes after all that it imports", () => {
  for (const name of [
    "haplane/v1/events.proto",
    "haplane/v1/options.proto",
    "google/protobuf/duration.proto",
  ]) {
    const seen = new Set<string>();
    for (const file of read(index.byFilename(name))) {
      for (const dependency of file.dependency)
        assert.ok(seen.has(dependency), `${file.name} imports ${dependency}`);
      seen.add(file.name);
    }
    assert.equal([...seen].at(-1), name);
  }
});

const symbols: { symbol: string; file: string | undefined }[] = [
  { symbol: "haplane.v1.Events", file: "haplane/v1/events.proto" },
  { symbol: "haplane.v1.Events.Watch", file: "haplane/v1/events.proto" },
  { symbol: "haplane.v1.Event", file: "haplane/v1/events.proto" },
  { symbol: "haplane.v1.Event.server", file: "haplane/v1/events.proto" },
  { symbol: "haplane.v1.Role", file: "haplane/v1/options.proto" },
  { symbol: "haplane.v1.ROLE_VIEWER", file: "haplane/v1/options.proto" },
  { symbol: "haplane.v1.role", file: "haplane/v1/options.proto" },
  { symbol: "google.protobuf.Duration", file: "google/protobuf/duration.proto" },
  { symbol: "google.protobuf.FieldDescriptorProto.TYPE_BOOL", file: "google/protobuf/descriptor.proto" },
  { symbol: "google.rpc.ErrorInfo", file: "google/rpc/error_details.proto" },
  { symbol: "haplane.v1.Runtime", file: undefined },
  { symbol: "haplane.v1", file: undefined },
  { symbol: "", file: undefined },
  { symbol: ".", file: undefined },
];
for (const { symbol, file } of symbols) {
  test(`symbol "${symbol}" is in ${file ?? "no file"}`, () => {
    const files = index.bySymbol(symbol);
    assert.equal(files && read(files).at(-1)?.name, file);
  });
}

test("extensions are found by message and number", () => {
  assert.deepEqual(index.extensionNumbers("google.protobuf.MethodOptions"), [50_501]);
  assert.deepEqual(index.extensionNumbers("haplane.v1.Event"), []);
  assert.equal(index.extensionNumbers("haplane.v1.Nothing"), undefined);
  assert.equal(
    read(index.byExtension("google.protobuf.MethodOptions", 50_501)).at(-1)?.name,
    "haplane/v1/options.proto",
  );
  assert.equal(index.byExtension("google.protobuf.MethodOptions", 1), undefined);
});

test("a client can build the service from the answer alone, options included", () => {
  const set = {
    $typeName: "google.protobuf.FileDescriptorSet",
    file: read(index.bySymbol("haplane.v1.ServiceDiscovery")),
  } as const;
  const service = createFileRegistry(set).getService("haplane.v1.ServiceDiscovery");
  assert.deepEqual(
    service?.methods.map(({ name }) => name),
    ServiceDiscovery.methods.map(({ name }) => name),
  );
});
