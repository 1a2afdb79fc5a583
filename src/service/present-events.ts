import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type Event,
  EventKind,
  EventSchema,
  EventType,
  TransactionState,
} from "../../gen/haplane/v1/events_pb.js";
import { serverChanges } from "../commit/classify.ts";
import type { Commit } from "../commit/commit.ts";
import { revisionFacts } from "../commit/history.ts";
import type { TransactionView } from "../commit/open-transaction.ts";
import { serverEvent } from "../commit/server-event.ts";
import { MAX_WHILE_OPEN } from "../commit/transaction-event.ts";
import { cutList } from "../lib/cut-list.ts";
import type { Store } from "../store/store.ts";
import { Document } from "../text/document.ts";

/** What a watch begins with of the configuration: its newest revision and the servers that it has. Asked for before anything changes it. */
export async function configurationEvents(
  { document, revision: newest }: Pick<Commit, "document" | "revision">,
  store: Pick<Store, "revisions">,
): Promise<readonly Event[]> {
  if (newest === 0) return [];
  const revision = await store.revisions.get(newest);
  const { author, message, resources, time } = revision;
  const committed = create(EventSchema, {
    kind: EventKind.REVISION,
    type: EventType.CURRENT,
    time: timestampFromMs(time),
    resource: `revisions/${newest}`,
    revision: BigInt(newest),
    author,
    payload: { case: "revisionCommitted", value: revisionFacts(message, resources) },
  });
  const servers = serverChanges(Document.parse([]), document);
  return [
    committed,
    ...servers.map((facts) => serverEvent(facts, false, time, { author, revision: newest })),
  ];
}

/** What a watch begins with of an open transaction. */
export function presentTransaction(view: TransactionView<unknown>): Event {
  const { first, more } = cutList(view.resources, MAX_WHILE_OPEN);
  return create(EventSchema, {
    ...{ kind: EventKind.TRANSACTION, type: EventType.CURRENT, time: timestampFromMs(view.createTime) },
    ...{ resource: view.name, author: view.owner },
    payload: {
      case: "transaction",
      value: { state: TransactionState.OPEN, resources: first, moreResources: more },
    },
  });
}
