import { create, fromBinary } from "@bufbuild/protobuf";
import { ChangeSchema } from "../../gen/haplane/v1/configuration_pb.js";
import type { ListFrontendsRequest, SetFrontendRequest } from "../../gen/haplane/v1/runtime_pb.js";
import { type Stats, StatsSchema, StatsType } from "../../gen/haplane/v1/runtime_stats_pb.js";
import { formatName, splitName } from "../config/name.ts";
import { directiveReader } from "../config/section-lines.ts";
import { DomainError } from "../lib/errors.ts";
import { fieldsInvalid } from "../rpc/fields.ts";
import type { CallContext } from "../rpc/handler.ts";
import { paginate } from "../rpc/page-token.ts";
import type { Document } from "../text/document.ts";
import type { Section } from "../text/section.ts";
import { NOT_PERSISTED, type PersistAlong, persist, requireEditor } from "./persist.ts";
import type { RuntimeTools } from "./runtime-options.ts";
import { statsEncoder } from "./stats-encoder.ts";
import { statsFilter } from "./stats-updates.ts";

const COLLECTIONS: readonly string[] = ["frontends", "listens"];

/** What HAProxy says of a frontend that was disabled. */
const PAUSED = "PAUSED";

/** HAProxy minds when nothing is to be done; nobody else does. */
const ALREADY = /already (?:enabled|disabled)/;

/** A page of the running frontends. */
export async function listFrontends(tools: RuntimeTools, request: ListFrontendsRequest) {
  const rows = await frontendRows(tools);
  const { items, nextPageToken } = paginate(rows, request, {
    ...{ defaultSize: 1_000, maxSize: 10_000 },
    key: ({ pxname }) => pxname,
  });
  const { document } = tools.commit;
  const frontends = items.map((stats) => ({ ...frontendMessage(document, stats), stats }));
  return { frontends, nextPageToken };
}

/** Changes a running frontend, and its maxconn in the configuration when that is asked for. */
export async function setFrontend(
  tools: RuntimeTools,
  request: SetFrontendRequest,
  { signal, caller }: CallContext,
  along: PersistAlong,
) {
  const { maxconn, enabled } = request;
  const name = frontendOf(request.name);
  if (request.persist && enabled !== undefined)
    throw fieldsInvalid([{ field: "enabled", description: "cannot be persisted" }]);
  await requireFrontend(tools, name);
  let persisted = NOT_PERSISTED;
  if (request.persist && maxconn !== undefined) {
    requireEditor(caller);
    const collection = sectionOf(tools.commit.document, name)?.keyword === "listen" ? "listen" : "frontend";
    const resource = {
      name: formatName(`${collection}s`, name),
      kind: { case: collection, value: { maxconn } },
    } as const;
    const updateMask = { paths: ["maxconn"] };
    const change = create(ChangeSchema, { operation: { case: "update", value: { resource, updateMask } } });
    persisted = await persist(tools.configuration, caller, [change], along);
  }
  const { runtime } = tools.haproxy;
  if (maxconn !== undefined)
    await runtime.tell(["set", "maxconn", "frontend", name, String(maxconn)], { signal });
  if (enabled !== undefined)
    await runtime
      .tell([enabled ? "enable" : "disable", "frontend", name], { signal })
      .catch((error: DomainError) => {
        if (!ALREADY.test(error.metadata?.output ?? "")) throw error;
      });
  const { document } = tools.commit;
  return { frontend: frontendMessage(document, await requireFrontend(tools, name)), ...persisted };
}

async function requireFrontend(tools: RuntimeTools, name: string): Promise<Stats> {
  const stats = (await frontendRows(tools)).find(({ pxname }) => pxname === name);
  if (stats !== undefined) return stats;
  throw new DomainError("RESOURCE_NOT_FOUND", `the running HAProxy has no frontend ${name}`, {
    resource: { type: "frontend", name: formatName("frontends", name) },
  });
}

async function frontendRows({ feed }: RuntimeTools): Promise<Stats[]> {
  const table = await feed.latest();
  const isFrontend = statsFilter(table, { proxies: [], services: [], types: [StatsType.FRONTEND] });
  const encode = statsEncoder(table.columns);
  return table.rows.filter(isFrontend).map((row) => fromBinary(StatsSchema, encode(row)));
}

/** Of `frontends/{frontend}` and `listens/{listen}`. */
function frontendOf(name: string): string {
  const parts = splitName(name);
  if (parts?.length === 2 && COLLECTIONS.includes(parts[0] as string)) return parts[1] as string;
  throw fieldsInvalid([
    { field: "name", description: "must have the form frontends/{frontend} or listens/{listen}" },
  ]);
}

function frontendMessage(document: Document, { pxname, slim = 0, status = "" }: Stats) {
  const section = sectionOf(document, pxname);
  const configuredMaxconn = section && maxconnOf(section);
  const runtimeOnly = [
    ...(configuredMaxconn === undefined || configuredMaxconn === slim ? [] : ["maxconn"]),
    ...(status === PAUSED ? ["status"] : []),
  ];
  return {
    name: formatName(section?.keyword === "listen" ? "listens" : "frontends", pxname),
    ...{ maxconn: slim, status, runtimeOnly },
    ...(configuredMaxconn !== undefined && { configuredMaxconn }),
  };
}

function sectionOf(document: Document, name: string): Section | undefined {
  const found = document.find(["frontend", "listen"], name);
  return found.length === 1 ? found[0] : undefined;
}

/** The last line holds, as in HAProxy. */
function maxconnOf(section: Section): number | undefined {
  const value = maxconnLines(section).at(-1)?.[0];
  return value !== undefined && /^\d+$/.test(value) ? Number(value) : undefined;
}

const maxconnLines = directiveReader("maxconn");
