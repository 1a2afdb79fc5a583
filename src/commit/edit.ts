import type { Document } from "../text/document.ts";
import type { ServerEventFacts } from "./server-event.ts";

/** A change of the document that can be made again on a newer one; that is what rebasing is. */
export interface Edit {
  /** The document with the change. Throws a `DomainError` when it cannot be made on this one. */
  readonly apply: (document: Document) => Document;
  /** Names of the resources that it writes. */
  readonly resources: readonly string[];
  /** Who wants it: `sources/{source}`, a user, `external`, or `haplane`. */
  readonly author: string;
  /** What it does, for the history: `adds backends/web/servers/a`. */
  readonly message: string;
  /** What becomes of servers: a worker that was started without it has to be told, and watchers once it is durable. */
  readonly servers: readonly ServerEventFacts[];
}
