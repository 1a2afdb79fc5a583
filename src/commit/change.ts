import type { ConfigurationAlert } from "../lib/errors.ts";
import type { Document } from "../text/document.ts";
import type { FileWrite } from "./attached-files.ts";
import type { Edit } from "./edit.ts";

/** A change of the configuration that somebody asks for. */
export interface ChangeRequest {
  /**
   * The change, as one: it is made as a whole or not at all. Guards (etags, references) belong into its `apply`, which is called again when the document has changed
   * meanwhile: what it throws is what the caller gets.
   */
  readonly edit: Edit;
  /** Makes every check, HAProxy's own included, and changes nothing. Default false. */
  readonly validateOnly?: boolean;
  /** HAProxy's check is asked first even where nothing that it runs would change: the text as such may be what it refuses. Default false. */
  readonly check?: boolean;
  /** No revision may have come after this one, but for those in which discovery alone changed its servers, else `ETAG_MISMATCH`. Default: any may. */
  readonly baseRevision?: number;
}

/** What became of a change. */
export interface ChangeOutcome {
  /** The newest revision, which contains it (validate only: the one that it was tried on). */
  readonly revision: number;
  /** How HAProxy came to run it, or would. `none`: nothing that HAProxy runs has changed. */
  readonly via: "none" | "runtime" | "reload";
  /** Why it took a reload, or why nothing was to be done. */
  readonly reasons: readonly string[];
  /** The commands that HAProxy was sent, or would be. */
  readonly commands: readonly string[];
  /** Number of the reload, when there was one. */
  readonly reload: number | undefined;
  readonly tookMs: number;
  /** The document that the change was made on, and the one it led to. */
  readonly before: Document;
  readonly after: Document;
  /** What HAProxy warns of, only when its check was run; and that the change takes HAProxy's last socket for commands away. */
  readonly warnings: readonly ConfigurationAlert[];
}

/** Files beside the configuration that somebody wants replaced. */
export interface FileRequest extends Pick<Edit, "author" | "message" | "along"> {
  readonly files: readonly FileWrite[];
  /** Names of the resources that they stand for, for the history. Default: none. */
  readonly resources?: readonly string[];
  /** See `Edit.alwaysReload`. Default false. */
  readonly alwaysReload?: boolean;
  /** See `ChangeRequest.validateOnly`. Default false. */
  readonly validateOnly?: boolean;
}

/** The change that replaces files and leaves the configuration as it is. */
export function fileChange({ validateOnly = false, resources = [], ...request }: FileRequest): ChangeRequest {
  const edit = { ...request, resources, apply: (document: Document) => document, servers: [] };
  return { edit, validateOnly };
}
