import type { Document } from "../text/document.ts";
import type { Line } from "../text/line.ts";
import type { Section } from "../text/section.ts";
import { sectionReader } from "./section-lines.ts";

/** A server of a backend as its line in the configuration says. */
export interface ConfiguredServer {
  readonly name: string;
  /** As written, without the port and without brackets: an IP address, a host name, `${ENV}`, `unix@…`. */
  readonly address: string;
  /** 0 when the line gives none. */
  readonly port: number;
  /** Undefined when the line gives none: `default-server`, else 1, holds. */
  readonly weight: number | undefined;
  /** HAProxy's numeric id, when the line gives one. */
  readonly id: number | undefined;
  /** The line says `disabled`. */
  readonly disabled: boolean;
  /** The words that follow the address. */
  readonly words: readonly string[];
}

/** Keywords of the sections that can have servers under a backend's name. */
const SERVER_SECTIONS: readonly string[] = ["backend", "listen"];

/**
 * The section of a backend, also when it is a `listen`; undefined when there is none, or when the name stands more than once or inside a conditional block, so that it is not known
 * which one HAProxy has.
 */
export function backendSection(document: Document, backend: string): Section | undefined {
  const found = document.find(SERVER_SECTIONS, backend);
  const section = found[0];
  return section === undefined || found.length > 1 || document.armOf(section) !== undefined
    ? undefined
    : section;
}

/** The servers of a section in order. Servers of `server-template` lines are not among them. */
export const serversOf: (section: Section) => readonly ConfiguredServer[] = sectionReader(readServer);

/** The index of a server's line in its section; undefined when there is none of this name, or more than one. */
export function indexOfServer(section: Section, name: string): number | undefined {
  const found = section.lines.find("server", name);
  return found.length === 1 ? found[0] : undefined;
}

/** One server of a section; undefined when there is none of this name, or more than one. */
export function findServer(section: Section, name: string): ConfiguredServer | undefined {
  const index = indexOfServer(section, name);
  return index === undefined ? undefined : readServer(section.lines.at(index)!);
}

/** The servers of a section by name; undefined stands for a name that more than one has. */
export function serversByName(section: Section): ReadonlyMap<string, ConfiguredServer | undefined> {
  const servers = new Map<string, ConfiguredServer | undefined>();
  for (const server of serversOf(section))
    servers.set(server.name, servers.has(server.name) ? undefined : server);
  return servers;
}

function readServer(line: Line): ConfiguredServer | undefined {
  const [keyword, name, address, ...rest] = line.words.map((word) => word.value);
  if (keyword !== "server" || name === undefined || address === undefined) return undefined;
  return {
    name,
    ...splitAddress(address),
    weight: numberAfter(rest, "weight"),
    id: numberAfter(rest, "id"),
    disabled: rest.lastIndexOf("disabled") > rest.lastIndexOf("enabled"),
    words: rest,
  };
}

/** Addresses that are paths, names or file descriptors: a colon in them begins no port. */
const PORTLESS = /^(\/|(unix|abns|abnsz|fd|sockpair)@)/;

/** Splits a server's address word; `::1:80` and `[::1]:80` are an address and a port, as HAProxy reads them (configuration manual, 11.1). */
function splitAddress(text: string): { address: string; port: number } {
  const colon = PORTLESS.test(text) ? -1 : text.lastIndexOf(":");
  const port = colon < 0 ? "" : text.slice(colon + 1);
  const address = /^\d{1,5}$/.test(port) ? text.slice(0, colon) : text;
  return { address: address.replace(/^\[(.*)\]$/, "$1"), port: address === text ? 0 : Number(port) };
}

/** The number behind the last occurrence of a keyword, which is the one that holds. */
export function numberAfter(words: readonly string[], keyword: string): number | undefined {
  const at = words.lastIndexOf(keyword);
  const value = words[at + 1];
  return at >= 0 && value !== undefined && /^\d+$/.test(value) ? Number(value) : undefined;
}
