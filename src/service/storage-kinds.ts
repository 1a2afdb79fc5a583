import { ApplyMode, FileKind, type UploadFileHeader } from "../../gen/haplane/v1/storage_pb.js";
import { parseName } from "../config/name.ts";
import { fieldsInvalid } from "../rpc/fields.ts";
import { FILE_KINDS, fileName, type FileKind as Kind } from "../storage/kinds.ts";
import type { ApplyMode as Mode } from "../storage/stored-file.ts";

const KINDS: Readonly<Record<Exclude<FileKind, FileKind.UNSPECIFIED>, Kind>> = {
  [FileKind.CERTIFICATE]: "certificates",
  [FileKind.CA]: "ca",
  [FileKind.CRL]: "crl",
  [FileKind.CRT_LIST]: "crt-lists",
  [FileKind.MAP]: "maps",
  [FileKind.ACL]: "acls",
  [FileKind.GENERAL]: "general",
};

const MODES: Readonly<Record<ApplyMode, Mode>> = {
  [ApplyMode.UNSPECIFIED]: "auto",
  [ApplyMode.NO_RELOAD]: "no-reload",
  [ApplyMode.FORCE_RELOAD]: "force-reload",
};

/** The kind that a request's field says. Throws `FIELD_INVALID`. */
export function kindOf(kind: FileKind, field: string): Kind {
  const known = KINDS[kind as Exclude<FileKind, FileKind.UNSPECIFIED>];
  if (known !== undefined) return known;
  throw fieldsInvalid([{ field, description: "is required: one of FILE_KIND_CERTIFICATE, FILE_KIND_MAP …" }]);
}

/** The API's word for a kind. */
export function toFileKind(kind: Kind): FileKind {
  const found = Object.entries(KINDS).find(([, value]) => value === kind);
  return Number(found?.[0] ?? FileKind.UNSPECIFIED);
}

/** The mode that a request's field says. Throws `FIELD_INVALID`. */
export function modeOf(mode: ApplyMode, field: string): Mode {
  const known = MODES[mode];
  if (known !== undefined) return known;
  throw fieldsInvalid([{ field, description: "is no mode that is known here" }]);
}

/** The resource name of a file that a request wants to store; undefined when it says no kind that there is. */
export function nameOfNewFile({
  kind,
  storageName,
}: Pick<UploadFileHeader, "kind" | "storageName">): string | undefined {
  const known = KINDS[kind as Exclude<FileKind, FileKind.UNSPECIFIED>];
  return known === undefined ? undefined : fileName(known, storageName);
}

/** What a resource name `files/{kind}/{file}` says. Throws `FIELD_INVALID`. */
export function fileOf(name: string, field: string): { readonly kind: Kind; readonly name: string } {
  const [kind = "", file = ""] = parseName(name, "files/{kind}/{file}", field);
  return { kind: kindNamed(kind, field), name: file };
}

/** The kind that `files/{kind}` says; undefined for `files/-`. Throws `FIELD_INVALID`. */
export function kindOfParent(parent: string, field: string): Kind | undefined {
  const [kind = ""] = parseName(parent, "files/{kind}", field);
  return kind === "-" ? undefined : kindNamed(kind, field);
}

function kindNamed(kind: string, field: string): Kind {
  const known = FILE_KINDS.find((candidate) => candidate === kind);
  if (known !== undefined) return known;
  throw fieldsInvalid([{ field, description: `has no kind of files; there are ${FILE_KINDS.join(", ")}` }]);
}
