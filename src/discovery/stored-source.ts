import { toBinary } from "@bufbuild/protobuf";
import { type Source, SourceSchema } from "../../gen/haplane/v1/service_discovery_pb.js";
import { encodeMemory, NO_MEMORY } from "./memory.ts";
import { readSettings } from "./settings.ts";
import { readSourceName } from "./source-name.ts";
import type { StoredSource } from "./source-store.ts";

/** A new source as the store keeps it, for a haplane that does not run. Throws `FIELD_INVALID` as `Sources.create` does, but for what only the HAProxy that runs can tell. */
export function storedSource(id: string, source: Source): StoredSource {
  const settings = readSettings(readSourceName(id, source.name), source, "source");
  return {
    name: settings.name,
    settings: toBinary(SourceSchema, settings),
    memory: encodeMemory(NO_MEMORY),
  };
}
