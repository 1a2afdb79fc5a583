import type { Server } from "../../gen/haplane/config/v1/server_pb.js";
import { wordsInOrder } from "../grammar/line-text.ts";
import type { TypedLine } from "../grammar/section-codec.ts";
import type { Document } from "../text/document.ts";
import type { Line } from "../text/line.ts";
import type { Section } from "../text/section.ts";
import { readChild } from "./children.ts";
import type { ChildKind, SectionKind } from "./kinds.ts";
import { configLanguage } from "./languages.ts";
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
  /** Those that say neither weight nor administrative state, where it takes the grammar to tell; see `fixedWords`. */
  readonly fixed?: readonly string[];
}

/** Keywords of the sections that can have servers under a backend's name. */
export const SERVER_SECTIONS: readonly string[] = ["backend", "listen"];

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

/** One server that a `server-template` line of a section makes; undefined when none makes one of this name. */
export function findTemplatedServer(section: Section, name: string): ConfiguredServer | undefined {
  for (const { prefix, low, high, ...shared } of templatesOf(section)) {
    const suffix = name.startsWith(prefix) ? name.slice(prefix.length) : "";
    const isMade = /^(0|[1-9]\d*)$/.test(suffix) && Number(suffix) >= low && Number(suffix) <= high;
    if (isMade) return { name, ...shared };
  }
  return undefined;
}

/** The servers of a section by name; undefined stands for a name that more than one has. */
export function serversByName(section: Section): ReadonlyMap<string, ConfiguredServer | undefined> {
  const servers = new Map<string, ConfiguredServer | undefined>();
  for (const server of serversOf(section))
    servers.set(server.name, servers.has(server.name) ? undefined : server);
  return servers;
}

function readServer(line: Line): ConfiguredServer | undefined {
  const [keyword, name, address, ...words] = line.words.map((word) => word.value);
  if (keyword !== "server" || name === undefined || address === undefined) return undefined;
  const settings = isPlain(words) ? settingsOf(words) : (typedSettings(line) ?? settingsOf(words));
  return { name, ...splitAddress(address), words, ...settings };
}

/** What a `server-template` line makes: a server for each number of the range, with the number behind the prefix. */
interface Template extends Omit<ConfiguredServer, "name"> {
  readonly prefix: string;
  readonly low: number;
  readonly high: number;
}

const templatesOf: (section: Section) => readonly Template[] = sectionReader((line) => {
  if (line.firstWords(1)[0]?.value !== "server-template") return undefined;
  const [, prefix, range = "", address, ...words] = line.words.map((word) => word.value);
  const bounds = /^(?:(\d+)-)?(\d+)$/.exec(range);
  if (prefix === undefined || address === undefined || bounds === null) return undefined;
  const [low, high] = [Number(bounds[1] ?? 1), Number(bounds[2])];
  return { prefix, low, high, ...splitAddress(address), words, ...settingsOf(words) };
});

type Settings = Pick<ConfiguredServer, "weight" | "id" | "disabled" | "fixed">;

const READ_BY_WORD: ReadonlySet<string> = new Set(["weight", "id", "disabled", "enabled"]);
const FLAGS: ReadonlySet<string> = new Set(["check", "ssl", "backup", "disabled", "enabled"]);

/** Whether the words that are looked for cannot be values of other parameters, as in `cookie weight`: each begins the line or stands behind a number or a flag. So it is in lines that haplane wrote. */
function isPlain(words: readonly string[]): boolean {
  return words.every((word, index) => {
    const before = words[index - 1];
    return !READ_BY_WORD.has(word) || before === undefined || FLAGS.has(before) || /^\d+$/.test(before);
  });
}

/** What the words say, each for itself. */
function settingsOf(words: readonly string[]): Settings {
  return {
    weight: numberAfter(words, "weight"),
    id: numberAfter(words, "id"),
    disabled: words.lastIndexOf("disabled") > words.lastIndexOf("enabled"),
  };
}

/** What the line says by the grammar, which knows values from keywords; undefined for one that it cannot read. What stands twice is among the words that it does not model, and the last one holds. */
function typedSettings(line: Line): Settings | undefined {
  const { directive } = serverKind();
  const typed = typedLine(line);
  if (typed === undefined) return undefined;
  const { server, keyword } = typed;
  const further = settingsOf(server.unmodelledWords);
  const { weight, disabled, ...rest } = server;
  const fixed = { ...rest, unmodelledWords: withoutRuntimeWords(server.unmodelledWords) };
  return {
    weight: weight ?? further.weight,
    id: server.id ?? further.id,
    disabled: disabled ?? further.disabled,
    fixed: wordsInOrder(directive, line, keyword, fixed).slice(3),
  };
}

/** The words of a server's line beside those that the running HAProxy takes by command: without weight and administrative state. */
export function fixedWords({ words, fixed }: ConfiguredServer): readonly string[] {
  return fixed ?? withoutRuntimeWords(words);
}

function withoutRuntimeWords(words: readonly string[]): string[] {
  const fixed: string[] = [];
  for (let index = 0; index < words.length; index++) {
    const word = words[index]!;
    if (word === "disabled" || word === "enabled") continue;
    if (word === "weight") index += 1;
    else fixed.push(word);
  }
  return fixed;
}

/** What a server's line says, by the grammar; undefined when that cannot read it. */
export function typedLine(
  line: Line,
): { readonly server: Server; readonly keyword: TypedLine["keyword"] } | undefined {
  const typed = readChild(backendKind(), serverKind(), line);
  return typed && { server: typed.value as Server, keyword: typed.keyword };
}

/** The kind of lines that are servers. */
export function serverKind(): ChildKind {
  return backendKind().children.find((child) => child.case === "server")!;
}

function backendKind(): SectionKind {
  return configLanguage().kindOfKeyword("backend")!;
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
