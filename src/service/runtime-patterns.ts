import {
  type ListPatternEntriesRequest,
  ListPatternEntriesRequestSchema,
} from "../../gen/haplane/v1/runtime_pb.js";
import { DomainError } from "../lib/errors.ts";
import { paginate } from "../rpc/page-token.ts";
import { checkRequest } from "./check-request.ts";
import type { RuntimeTools } from "./runtime-options.ts";

/** The map and ACL files that are loaded. */
export async function listPatternFiles({ haproxy }: RuntimeTools, signal: AbortSignal) {
  const files = await haproxy.runtime.patternFiles.list({ signal });
  return { files: files.map(({ path, kind, description }) => ({ path, map: kind === "map", description })) };
}

/** A page of the entries of one. */
export async function listPatternEntries(
  { haproxy }: RuntimeTools,
  request: ListPatternEntriesRequest,
  signal: AbortSignal,
) {
  checkRequest(ListPatternEntriesRequestSchema, request);
  const { patternFiles } = haproxy.runtime;
  const file = (await patternFiles.list({ signal })).find(({ path }) => path === request.path);
  if (file === undefined) {
    throw new DomainError("RESOURCE_NOT_FOUND", "the running HAProxy has not loaded this map or ACL file", {
      resource: { type: "pattern file", name: request.path },
    });
  }
  const entries = await patternFiles.entries(file, { signal });
  const wanted = entries.filter(({ key }) => key.startsWith(request.keyPrefix));
  const { items, nextPageToken } = paginate(wanted, request, {
    ...{ defaultSize: 1_000, maxSize: 10_000 },
    key: ({ ref }) => ref,
  });
  return { entries: items.map(({ key, value }) => ({ key, value })), nextPageToken };
}
