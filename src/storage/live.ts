/**
 * What storage needs of the running HAProxy, and of the configuration. Declared here, so that this room knows neither; the wiring passes them in. Rejections are `DomainError`: `HAPROXY_UNAVAILABLE` when no worker
 * answers, anything else when it refuses.
 */
export interface LiveFiles {
  /** When the worker that accepts connections was started, in milliseconds since 1970, to the second. */
  startedAt(): Promise<number>;
  readonly sslFiles: LiveSslFiles;
  readonly patternFiles: LivePatternFiles;
}

/** What HAProxy keeps by file name. */
export type SslStore = "cert" | "ca-file" | "crl-file";

/** A part of a certificate, by the name of the file that it comes from. */
export interface SslPart {
  readonly path: string;
  readonly text: string;
}

/** A line of a crt-list as the worker has it. */
export interface CrtListEntry {
  readonly certificate: string;
  readonly line: number;
}

/** TLS files; what changes them answers with the commands, content left out. */
export interface LiveSslFiles {
  names(store: SslStore): Promise<readonly string[]>;
  /** SHA-1, upper case without colons; undefined when nothing of that name is loaded. */
  fingerprints(store: "cert" | "ca-file", path: string): Promise<readonly string[] | undefined>;
  /** Whether other certificates are sent along with the one of this name. */
  hasChain(path: string): Promise<boolean>;
  replace(store: SslStore, path: string, parts: readonly SslPart[]): Promise<readonly string[]>;
  add(path: string, parts: readonly SslPart[]): Promise<readonly string[]>;
  remove(path: string): Promise<readonly string[]>;
  lists(): Promise<readonly string[]>;
  listEntries(path: string): Promise<readonly CrtListEntry[]>;
  addToList(path: string, line: string): Promise<readonly string[]>;
  removeFromList(path: string, entry: CrtListEntry): Promise<readonly string[]>;
}

/** A map or ACL file that the worker has loaded. */
export interface PatternFile {
  readonly kind: "map" | "acl";
  readonly id: number;
  readonly path: string;
  readonly description: string;
}

/** A key, and a map's value. */
export interface PatternEntry {
  readonly key: string;
  readonly value: string;
}

/** An entry with HAProxy's reference to it. */
export interface LoadedEntry extends PatternEntry {
  readonly ref: string;
}

/** One change of the entries; what is added comes last. */
export type EntryChange =
  | { readonly kind: "set"; readonly ref: string; readonly value: string }
  | { readonly kind: "delete"; readonly ref: string }
  | ({ readonly kind: "add" } & PatternEntry);

/** Maps and ACL files. */
export interface LivePatternFiles {
  list(): Promise<readonly PatternFile[]>;
  entries(file: PatternFile): Promise<readonly LoadedEntry[]>;
  /** Answers with the number of commands. */
  change(file: PatternFile, changes: readonly EntryChange[]): Promise<number>;
  replace(file: PatternFile, entries: readonly PatternEntry[]): Promise<number>;
}

/** Something that names a file. */
export interface Referrer {
  /** The path that it names: the file's, or that of the directory that holds it. */
  readonly path: string;
  readonly directive: string;
  /** The file that has the line, and the line in it, from 1. */
  readonly file: string;
  readonly line: number;
  /** Name of the resource that the line belongs to; empty where there is none. */
  readonly resource: string;
  /** The converter that uses it, such as `map_beg`; empty for others. */
  readonly converter: string;
}

/** Makes HAProxy read everything anew. Resolves with the number of the reload when the new worker serves; rejects when HAProxy refuses, and goes on as before then. */
export type ReloadFiles = (reason: string) => Promise<number>;

/** A file as it is to be after a reload. */
export interface ReloadedFile {
  readonly path: string;
  /** Undefined removes it. */
  readonly content: Uint8Array | undefined;
  /** Permission bits and owner of a file that does not exist yet. */
  readonly mode: number;
  readonly owner: { readonly uid: number; readonly gid: number };
  /** Called with what the file holds (undefined: it does not exist) when it is about to be replaced. What it throws is what the caller gets. */
  readonly guard: (found: Uint8Array | undefined) => void;
  /** The file's resource name, and who stores it, for the history. */
  readonly resource: string;
  readonly author: string;
}

/**
 * Replaces a file together with a reload, as one: HAProxy's check reads it first, a crash in between is mended by the next start, and everything is as before when this rejects. Resolves with the number of the reload;
 * undefined when the file held that content by then.
 */
export type ReplaceByReload = (file: ReloadedFile) => Promise<number | undefined>;
