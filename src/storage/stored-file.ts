import type { FileKind } from "./kinds.ts";
import type { FileFacts } from "./known-files.ts";
import type { PatternFile, Referrer } from "./live.ts";

/** How a write is to reach HAProxy. */
export type ApplyMode = "auto" | "no-reload" | "force-reload";

/** A file that somebody wants to store. */
export interface StoreRequest {
  readonly kind: FileKind;
  readonly name: string;
  /** In bytes; exactly so much has to come. Undefined: whatever comes. */
  readonly size: number | undefined;
  /** The etag that the file has to have; empty: any, and none as well. */
  readonly etag: string;
  /** The file must not be there yet. */
  readonly createOnly: boolean;
  readonly apply: ApplyMode;
  /** Who stores it, for events. */
  readonly author: string;
}

/** How a write reached HAProxy. */
export interface FileApplied {
  readonly via: "none" | "runtime" | "reload";
  readonly reasons: readonly string[];
  /** Content left out. */
  readonly commands: readonly string[];
  /** Number of the reload, when there was one. */
  readonly reload: number | undefined;
  readonly tookMs: number;
}

/** A certificate of a file. */
export interface CertificateFacts {
  readonly subject: string;
  readonly issuer: string;
  /** `DNS:example.org`, `IP Address:192.0.2.1` … */
  readonly subjectAlternativeNames: readonly string[];
  /** Hexadecimal. */
  readonly serialNumber: string;
  /** In milliseconds since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly keyType: string;
  /** Hexadecimal. */
  readonly sha256Fingerprint: string;
}

/** A file with all that is known of it. */
export interface StoredFile {
  readonly kind: FileKind;
  readonly facts: FileFacts;
  readonly description: string;
  readonly referrers: readonly Referrer[];
  /** In their order; empty for files that are no certificates. */
  readonly certificates: readonly CertificateFacts[];
  /** A map or ACL file as the running HAProxy has it; undefined when it has not loaded it. */
  readonly pattern: PatternFile | undefined;
}

/** A file that was stored. */
export interface Stored {
  readonly file: StoredFile;
  readonly applied: FileApplied;
}

/** A file's content, ready to be sent. */
export interface Content {
  readonly file: StoredFile;
  readonly size: number;
  /** Hexadecimal. */
  readonly sha256: string;
  /** Private keys were left out. */
  readonly redacted: boolean;
  /** The bytes from an offset on, each piece with its prefix in front (default: none). A piece holds until the next is asked for. */
  readonly pieces: (offset: number, prefix?: PiecePrefix) => AsyncIterable<Uint8Array>;
}

/** What stands in front of a piece of so many bytes on its way; pieces are read to behind it, so that none has to be copied. */
export type PiecePrefix = (length: number) => Uint8Array;
