import type { Operation } from "../store/operations.ts";
import type { Document } from "../text/document.ts";
import type { FileWrite } from "./attached-files.ts";
import type { ServerEventFacts } from "./server-event.ts";

/** What is kept in the store along with the revision of an edit, in one transaction: the answer for those who ask again, for one. Events among it come together with those of the revision. */
export interface Along {
  /** What puts it there. Asked for when the edit has been made on the document that the revision has; perhaps more than once. */
  put(revision: number): readonly Operation[];
  /** What takes it out again when the edit is taken back. */
  remove(): readonly Operation[];
}

/** All of several, those that there are. */
export function together(...all: readonly (Along | undefined)[]): Along {
  return {
    put: (revision) => all.flatMap((one) => one?.put(revision) ?? []),
    remove: () => all.flatMap((one) => one?.remove() ?? []),
  };
}

/** A change of the document that can be made again on a newer one; that is what rebasing is. */
export interface Edit {
  /** The document with the change. Throws a `DomainError` when it cannot be made on this one. */
  readonly apply: (document: Document) => Document;
  /**
   * Does the work of `apply` on a document ahead and lets others run meanwhile, so that `apply` on that document takes no time; rejects with what `apply` would throw. For edits that are large enough to hold
   * everybody else up. Default: there is nothing to be gained.
   */
  readonly prepare?: (document: Document) => Promise<void>;
  /** Names of the resources that it writes. */
  readonly resources: readonly string[];
  /** Who wants it: `sources/{source}`, a user, `external`, or `haplane`. */
  readonly author: string;
  /** What it does, for the history: `adds backends/web/servers/a`. */
  readonly message: string;
  /** Files beside the configuration that are replaced along with it, as a whole or not at all. Default: none. */
  readonly files?: readonly FileWrite[];
  /** Whether HAProxy has to be reloaded for them although no word of the configuration names them: another file does. Default false. */
  readonly alwaysReload?: boolean;
  /** What is kept along with its revision. Default: nothing. */
  readonly along?: Along;
  /** Whether nothing is made together with it: its `apply` asks what the newest revision is, which changes only when what was made is recorded. Default false. */
  readonly alone?: boolean;
  /** What becomes of servers: a worker that was started without it has to be told, and watchers once it is durable. */
  readonly servers: readonly ServerEventFacts[];
}

/** The edit with something around its `apply`. What it says of itself may depend on how it was made, so that is asked of the edit when it is wanted. */
export function withApply(edit: Edit, apply: Edit["apply"]): Edit {
  return {
    apply,
    get resources() {
      return edit.resources;
    },
    author: edit.author,
    get message() {
      return edit.message;
    },
    get servers() {
      return edit.servers;
    },
    ...(edit.files && { files: edit.files }),
    ...(edit.alwaysReload && { alwaysReload: true }),
    ...(edit.along && { along: edit.along }),
    ...(edit.alone && { alone: true }),
    ...(edit.prepare && { prepare: edit.prepare }),
  };
}

/** The document with an edit; as it is where the edit cannot be made on it. */
export function applyIfPossible(document: Document, edit: Edit): Document {
  try {
    return edit.apply(document);
  } catch {
    return document;
  }
}

/** The same edit, which is not made a second time on the document that it was last made on: a commit asks at each of its steps. */
export function remembered(edit: Edit): Edit {
  let last: { readonly before: Document; readonly after: Document } | undefined;
  return withApply(edit, (document) => {
    if (last?.before !== document) last = { before: document, after: edit.apply(document) };
    return last.after;
  });
}

/** How often a large edit is prepared anew because the document has changed meanwhile. */
const MAX_PREPARED = 5;

/** Has the work of a large edit done on the newest document. Where that goes on changing it is given up: the edit is then made in one go. */
export async function prepare(
  { prepare: ahead }: Edit,
  working: { readonly current: Document },
): Promise<void> {
  for (let time = 1; ahead !== undefined && time <= MAX_PREPARED; time++) {
    const document = working.current;
    await ahead(document);
    if (working.current === document) return;
  }
}
