import { isIP } from "node:net";
import type { Server } from "../../gen/haplane/config/v1/server_pb.js";
import { rewriteValue } from "../grammar/line-text.ts";
import { DomainError } from "../lib/errors.ts";
import type { Document } from "../text/document.ts";
import { deleteLines, insertLines, replaceLine } from "../text/edit.ts";
import { insertSection } from "../text/edit-sections.ts";
import { ownEnd, placeBehindBlock } from "../text/extent.ts";
import { quoteWords } from "../text/quote.ts";
import { rewriteLine } from "../text/rewrite.ts";
import type { Section } from "../text/section.ts";
import { literalValue } from "../text/value.ts";
import { formatName } from "./name.ts";
import {
  backendSection,
  type ConfiguredServer,
  findServer,
  indexOfServer,
  SERVER_SECTIONS,
  serverKind,
  typedLine,
} from "./server.ts";

const DISABLED = "disabled";

/** A server to be written. */
export interface ServerDraft {
  readonly name: string;
  /** An IPv4 or IPv6 address without brackets. */
  readonly address: string;
  /** 1 to 65535. */
  readonly port: number;
  /** 0 to 256; HAProxy's default, 1, is not written. */
  readonly weight: number;
  /** HAProxy's numeric id: explicit, so that a reload does not number the servers anew. */
  readonly id: number;
  /** Words that follow on its line. */
  readonly options?: readonly string[];
  /** Starts in maintenance. Default false. */
  readonly disabled?: boolean;
}

/** A change of one server of a backend. */
export type ServerEdit =
  | ({ readonly kind: "add" } & ServerDraft)
  | { readonly kind: "set-address"; readonly name: string; readonly address: string; readonly port: number }
  | { readonly kind: "set-weight"; readonly name: string; readonly weight: number }
  | {
      readonly kind: "fill";
      readonly name: string;
      readonly address: string;
      readonly port: number;
      readonly weight: number;
    }
  | { readonly kind: "free"; readonly name: string }
  | { readonly kind: "remove"; readonly name: string };

/**
 * The document with one server changed; nothing but its own line is touched, and what people added to that line stays.
 * Throws `RESOURCE_NOT_FOUND`, `RESOURCE_EXISTS`, `FIELD_INVALID`.
 */
export function editServer(document: Document, backend: string, edit: ServerEdit): Document {
  const section = requireBackend(document, backend);
  switch (edit.kind) {
    case "add":
      return addServers(document, backend, [edit]);
    case "set-address":
      return rewriteServer(document, section, edit.name, (words) =>
        words.with(2, hostPort(edit.address, edit.port)),
      );
    case "set-weight":
      return setSettings(document, section, edit.name, () => ({ weight: edit.weight }));
    case "fill":
      return setSettings(document, section, edit.name, (now) => ({
        ...{ address: isIP(edit.address) === 6 ? `[${edit.address}]` : edit.address, port: edit.port },
        ...((edit.weight !== 1 || now.weight !== undefined) && { weight: edit.weight }),
        disabled: undefined,
      }));
    case "free":
      return setSettings(document, section, edit.name, () => ({ disabled: true }));
    case "remove":
      return deleteLines(document, section, requireServer(section, edit.name), 1).document;
  }
}

/** The document with more servers in a backend, as `editServer` adds them one after another; the text is edited once for all. Throws as that does. */
export function addServers(document: Document, backend: string, drafts: readonly ServerDraft[]): Document {
  const section = requireBackend(document, backend);
  const fresh = new Set<string>();
  for (const { name } of drafts) {
    if (fresh.has(name) || section.lines.find("server", name).length > 0) throw exists(section, name);
    fresh.add(name);
  }
  return insertLines(document, section, placeForServer(section), drafts.map(serverLine)).document;
}

/** The document without servers of a backend, as `editServer` removes them one after another; lines that follow each other are deleted at once. Throws as that does. */
export function removeServers(document: Document, backend: string, names: readonly string[]): Document {
  let section = requireBackend(document, backend);
  const indexes = new Set<number>();
  for (const name of names) {
    const index = requireServer(section, name);
    if (indexes.has(index)) throw missingServer(section, name);
    indexes.add(index);
  }
  let left = document;
  // From the end, so that what is still to be deleted stays where it is.
  for (const { start, count } of stretchesOf([...indexes].sort((a, b) => b - a)))
    ({ document: left, section } = deleteLines(left, section, start, count));
  return left;
}

/** Descending indexes as stretches of lines. */
function stretchesOf(indexes: readonly number[]): { readonly start: number; readonly count: number }[] {
  const stretches: { start: number; count: number }[] = [];
  for (const index of indexes) {
    const last = stretches.at(-1);
    if (last?.start === index + 1) {
      last.start = index;
      last.count += 1;
    } else stretches.push({ start: index, count: 1 });
  }
  return stretches;
}

/** The words of a server's line behind its address. */
export function serverWords({ weight, id, options = [], disabled = false }: ServerDraft): string[] {
  return [
    ...["id", String(id)],
    ...(weight === 1 ? [] : ["weight", String(weight)]),
    ...options,
    ...(disabled ? [DISABLED] : []),
  ];
}

/**
 * The document with one more backend, behind the last or else at the end of the last file, with these servers; `defaults` is the section that it names, empty for none. Refused with `NOT_SUPPORTED` when the document holds no section yet; with `RESOURCE_EXISTS` when the name is taken.
 */
export function addBackend(
  document: Document,
  name: string,
  servers: readonly ServerDraft[],
  defaults = "",
): Document {
  if (document.find(SERVER_SECTIONS, name).length > 0) {
    throw new DomainError("RESOURCE_EXISTS", `there is a backend ${name} already`, {
      resource: { type: "backend", name: formatName("backends", name) },
    });
  }
  const last = document.lastOf("backend");
  const placement = last === undefined ? { endOf: document.parts.length - 1 } : { after: last };
  const header = line(["backend", name, ...(defaults === "" ? [] : ["from", defaults])]);
  return insertSection(document, placement, header, servers.map(serverLine)).document;
}

function requireBackend(document: Document, backend: string): Section {
  const section = backendSection(document, backend);
  if (section === undefined) throw missing("backend", formatName("backends", backend));
  return section;
}

function exists(section: Section, server: string): DomainError {
  const name = formatName("backends", section.name, "servers", server);
  return new DomainError("RESOURCE_EXISTS", `${name} is there already`, {
    resource: { type: "server", name },
  });
}

/** Behind the last server, so that `default-server` lines above it hold for it; else behind the section's last own line. */
function placeForServer(section: Section): number {
  const { lines } = section;
  // From the end, where servers mostly stand: thousands may be added one after the other.
  for (let index = lines.length - 1; index > 0; index--) {
    if (lines.at(index)?.firstWords(1)[0]?.value === "server") return placeBehindBlock(section, index + 1);
  }
  return ownEnd(section);
}

function rewriteServer(
  document: Document,
  section: Section,
  name: string,
  change: (words: string[]) => string[],
): Document {
  const index = requireServer(section, name);
  const old = section.lines.at(index)!;
  const words = old.words.map((word) => word.value);
  const rewritten = rewriteLine(old, change(words));
  if (!rewritten.ok) throw unwritable(rewritten.refusal.kind);
  return replaceLine(document, section, index, rewritten.line).document;
}

/** Writes settings where the grammar finds them in the line, or behind its last word. One that stands twice stands once then. */
function setSettings(
  document: Document,
  section: Section,
  name: string,
  change: (now: ConfiguredServer) => Partial<Pick<Server, "address" | "port" | "weight" | "disabled">>,
): Document {
  const index = requireServer(section, name);
  const old = section.lines.at(index)!;
  const now = findServer(section, name);
  const typed = typedLine(old);
  if (now === undefined || typed === undefined) throw unwritable("its line cannot be read");
  const { server, keyword } = typed;
  const changes = change(now);
  const unmodelledWords = withoutSettings(server.unmodelledWords, changes);
  const message = { ...server, ...changes, unmodelledWords };
  const rewritten = rewriteValue(serverKind().directive, old, keyword, message, "");
  if (!rewritten.ok) throw unwritable(rewritten.violation.description);
  return replaceLine(document, section, index, rewritten.text).document;
}

/** Words among which those stand that a line has twice, without the settings that are written anew. */
function withoutSettings(words: readonly string[], changes: object): string[] {
  return words.filter((word, index) => {
    if ("weight" in changes && (word === "weight" || words[index - 1] === "weight")) return false;
    return !("disabled" in changes && (word === "disabled" || word === "enabled"));
  });
}

function requireServer(section: Section, name: string): number {
  const index = indexOfServer(section, name);
  if (index !== undefined) return index;
  throw missingServer(section, name);
}

function missingServer(section: Section, name: string): DomainError {
  return missing("server", formatName("backends", section.name, "servers", name));
}

function serverLine(draft: ServerDraft): string {
  return line(["server", draft.name, hostPort(draft.address, draft.port), ...serverWords(draft)]);
}

function line(words: readonly string[]): string {
  const quoted = quoteWords(words.map(literalValue));
  if (!quoted.ok) throw unwritable(quoted.refusal.kind);
  return quoted.text;
}

function hostPort(address: string, port: number): string {
  return isIP(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`;
}

function missing(type: string, name: string): DomainError {
  return new DomainError("RESOURCE_NOT_FOUND", `the configuration has no ${name}`, {
    resource: { type, name },
  });
}

function unwritable(kind: string): DomainError {
  return new DomainError("FIELD_INVALID", `a value cannot stand in haproxy.cfg (${kind})`, {
    metadata: { kind },
  });
}
