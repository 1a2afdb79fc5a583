import {
  type GetRequest,
  GetResponseSchema,
  type ListRequest,
  ListResponseSchema,
  View,
} from "../../gen/haplane/v1/configuration_pb.js";
import { listResources } from "../config/list-resources.ts";
import { locate, notFound, readResourceId } from "../config/locate.ts";
import { Encoded } from "../rpc/encoded.ts";
import type { Caller } from "../rpc/handler.ts";
import { paginate } from "../rpc/page-token.ts";
import type { Document } from "../text/document.ts";
import type { WriteTools } from "./configuration-writes.ts";
import { type AnswerField, encodeAnswer } from "./encode-answer.ts";
import { userOf } from "./staged-write.ts";

const PAGE = { defaultSize: 100, maxSize: 1_000 };

/** Answers a Get, from ready bytes where the resource was read before. */
export function getResource(
  tools: WriteTools,
  request: GetRequest,
  caller: Caller,
): Encoded<typeof GetResponseSchema> {
  const { document, revision } = read(tools, request.transaction, caller);
  const id = readResourceId(request.name, "name");
  const located = locate(document, id);
  if (located === undefined) throw notFound(id);
  const bytes = tools.reader.encode(located, request.view === View.FULL);
  return Encoded.ofBytes(
    GetResponseSchema,
    encodeAnswer([
      { no: GET.resource, bytes },
      { no: GET.revision, int64: revision },
    ]),
  );
}

/** Answers a List, from ready bytes where resources were read before. */
export function listPage(
  tools: WriteTools,
  request: ListRequest,
  caller: Caller,
): Encoded<typeof ListResponseSchema> {
  const { document, revision } = read(tools, request.transaction, caller);
  const listed = listResources(document, request.parent, request.filter);
  const { items, nextPageToken } = paginate(listed, request, { ...PAGE, key: ({ key }) => key });
  const children = request.view === View.FULL;
  const fields: AnswerField[] = items.map((item) => ({
    no: LIST.resources,
    bytes: item.encode(tools.reader, children),
  }));
  fields.push({ no: LIST.nextPageToken, text: nextPageToken }, { no: LIST.revision, int64: revision });
  return Encoded.ofBytes(ListResponseSchema, encodeAnswer(fields));
}

const GET = {
  resource: GetResponseSchema.field.resource.number,
  revision: GetResponseSchema.field.revision.number,
};
const LIST = {
  resources: ListResponseSchema.field.resources.number,
  nextPageToken: ListResponseSchema.field.nextPageToken.number,
  revision: ListResponseSchema.field.revision.number,
};

function read(
  { commit, transactions }: WriteTools,
  transaction: string,
  caller: Caller,
): { readonly document: Document; readonly revision: number } {
  if (transaction === "") return commit;
  const { document, baseRevision } = transactions.read(transaction, userOf(caller));
  return { document, revision: baseRevision };
}
