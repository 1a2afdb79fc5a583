import { isIP } from "node:net";
import { balanceOf, defaultServerWords, directiveOf } from "../config/defaults.ts";
import {
  diffDocuments,
  differsAtRuntimeOnly,
  diffServers,
  type SectionPair,
  type ServerDiff,
} from "../config/section-diff.ts";
import { type ConfiguredServer, fixedWords, numberAfter, serversOf } from "../config/server.ts";
import { isServerNamed } from "../config/server-references.ts";
import { canAddServer } from "../haproxy/dynamic-servers.ts";
import type { ServerChange } from "../haproxy/server-change.ts";
import type { HaproxyVersion } from "../haproxy/version.ts";
import type { Document } from "../text/document.ts";
import type { Section } from "../text/section.ts";
import { addition, removal } from "./alignment.ts";
import type { ServerEventFacts } from "./server-event.ts";

/** A command that makes a running HAProxy follow the document. */
export type RuntimeCommand =
  | ServerChange
  | { readonly kind: "maxconn"; readonly frontend: string; readonly maxconn: number };

/** What it takes to bring a running HAProxy from one document to another. */
export interface Classification {
  readonly via: "none" | "runtime" | "reload";
  /** Why it takes a reload; empty otherwise. */
  readonly reasons: readonly string[];
  /** The commands, when `via` is `runtime`. */
  readonly commands: readonly RuntimeCommand[];
  /** What happens to servers, whichever way. */
  readonly servers: readonly ServerEventFacts[];
}

/**
 * Says whether a running HAProxy can follow a change by commands, and with which. It is judged by what the worker runs, not by the newest document.
 *
 * | change | runtime | else |
 * |---|---|---|
 * | a server is added | `add server`, where HAProxy's version, the words and the balance algorithm allow it | reload |
 * | a server is removed | `del server`, unless a line may name it | reload |
 * | a server's address and port (IP addresses), weight, `disabled` | `set server` | |
 * | `maxconn` of a frontend or listen that has one | `set maxconn frontend` | |
 * | comments, blank lines, spelling | nothing to do | |
 * | anything else | | reload |
 */
export function classify(
  running: Document,
  after: Document,
  version: HaproxyVersion | undefined,
): Classification {
  const diff = diffDocuments(running, after);
  const reasons: string[] = [];
  const commands: RuntimeCommand[] = [];
  const servers: ServerEventFacts[] = [];
  if (diff.reordered) reasons.push("sections stand in another order");
  for (const pair of diff.sections) {
    const judged = judge(pair, after, version);
    reasons.push(...judged.reasons);
    commands.push(...judged.commands);
    servers.push(...judged.servers);
  }
  const via = reasons.length > 0 ? "reload" : commands.length > 0 ? "runtime" : "none";
  return { via, reasons, commands: via === "runtime" ? commands : [], servers };
}

/** What happens to servers from one document to another, whoever made it. */
export function serverChanges(before: Document, after: Document): ServerEventFacts[] {
  return diffDocuments(before, after).sections.flatMap(serverFacts);
}

function serverFacts({ keyword, name, before, after }: SectionPair): ServerEventFacts[] {
  if (keyword !== "backend" && keyword !== "listen") return [];
  if (before !== undefined && after !== undefined) return factsOf(name, diffServers(before, after));
  const type = before === undefined ? "added" : "removed";
  return serversOf((before ?? after)!).map((server) => ({ type, backend: name, server }));
}

function factsOf(
  backend: string,
  { added, changed, removed }: Pick<ServerDiff, "added" | "changed" | "removed">,
): ServerEventFacts[] {
  return [
    ...added.map((server) => ({ type: "added" as const, backend, server })),
    ...changed.map(({ after: server }) => ({ type: "updated" as const, backend, server })),
    ...removed.map((server) => ({ type: "removed" as const, backend, server })),
  ];
}

type Judged = Omit<Classification, "via">;

const PREPOSITIONS = { adds: "to", removes: "from", changes: "of" } as const;

function judge(pair: SectionPair, document: Document, version: HaproxyVersion | undefined): Judged {
  const { keyword, name, before, after } = pair;
  const title = name === "" ? keyword : `${keyword} ${name}`;
  if (before === undefined || after === undefined) {
    const verb = before === undefined ? "adds" : "removes";
    if (keyword === "" && (before ?? after)!.lines.length === 0)
      return { reasons: [], commands: [], servers: [] };
    return { reasons: [`${verb} ${title}`], commands: [], servers: serverFacts(pair) };
  }
  const reasons: string[] = [];
  const commands: RuntimeCommand[] = [];
  if (before.from !== after.from) reasons.push(`${title} inherits from other defaults`);
  const diff = diffServers(before, after);
  if (diff.reordered) reasons.push(`servers of ${title} stand in another order`);
  if (document.armOf(after) !== undefined) reasons.push(`${title} stands in a conditional block`);
  for (const { verb, line } of diff.otherLines) {
    const maxconn = line.startsWith("maxconn") ? maxconnOf(before, after) : undefined;
    if (maxconn === undefined) reasons.push(`${verb} ${line} ${PREPOSITIONS[verb]} ${title}`);
    else if (!commands.some(({ kind }) => kind === "maxconn"))
      commands.push({ kind: "maxconn", frontend: name, maxconn });
  }
  const inherited = defaultServerWords(document, after);
  const takenIds = new Set(diff.removed.flatMap(({ id }) => id ?? []));
  for (const server of diff.added) {
    if (server.id !== undefined && takenIds.has(server.id)) {
      reasons.push(`server ${name}/${server.name} takes the id ${server.id} of one that is removed`);
      continue;
    }
    const refusal = whyNotAddable(document, after, server, inherited, version);
    if (refusal === undefined) commands.push(addition(name, server, inherited));
    else reasons.push(`adds server ${name}/${server.name}: ${refusal}`);
  }
  for (const server of diff.removed) {
    if (isServerNamed(document, name, server.name))
      reasons.push(`removes server ${name}/${server.name}, which another line names`);
    else commands.push(removal(name, server.name));
  }
  for (const { before: old, after: server } of diff.changed) {
    const refers = refersToEnvironment([...old.words, ...server.words]);
    if (!refers && differsAtRuntimeOnly(old, server))
      commands.push(...settings(name, old, server, inherited));
    else reasons.push(`changes ${changedWords(old, server)} of server ${name}/${server.name}`);
  }
  return {
    reasons,
    commands,
    servers: factsOf(name, diff),
  };
}

function whyNotAddable(
  document: Document,
  section: Section,
  server: Pick<ConfiguredServer, "name" | "address" | "port" | "words">,
  inherited: readonly string[],
  version: HaproxyVersion | undefined,
): string | undefined {
  if (version === undefined) return "the running HAProxy's version is not known";
  const byText = whyOnlyStartReads(server, inherited);
  if (byText !== undefined) return byText;
  const balancing = {
    balance: balanceOf(document, section),
    hashType: directiveOf(document, section, "hash-type"),
    mode: directiveOf(document, section, "mode")[0] ?? "tcp",
  };
  const addable = canAddServer(version, [...inherited, ...server.words], balancing);
  return addable.ok ? undefined : addable.reason;
}

/** Whether the running HAProxy can add servers with these words to a section of the document. */
export function takesServers(
  document: Document,
  section: Section,
  words: readonly string[],
  version: HaproxyVersion,
): boolean {
  const server = { name: "server", address: "127.0.0.1", port: 1, words };
  const inherited = defaultServerWords(document, section);
  return whyNotAddable(document, section, server, inherited, version) === undefined;
}

/** Why a command cannot say what the line says: HAProxy resolves names and reads its environment when it starts, and a command is taken literally. */
function whyOnlyStartReads(
  { name, address, port, words }: Pick<ConfiguredServer, "name" | "address" | "port" | "words">,
  inherited: readonly string[],
): string | undefined {
  if (isIP(address) === 0 && !/^(?:unix|abns)@[^$]/.test(address))
    return "its address is not an IP address, so HAProxy finds it when it starts";
  if (port > 65_535 || !/^[A-Za-z0-9._:-]+$/.test(name))
    return "only HAProxy's check can say whether it is right";
  if (refersToEnvironment([...words, ...inherited]))
    return "its line refers to the environment, which HAProxy reads when it starts";
  return undefined;
}

function refersToEnvironment(words: readonly string[]): boolean {
  return words.some((word) => word.includes("${"));
}

function settings(
  backend: string,
  old: ConfiguredServer,
  server: ConfiguredServer,
  inherited: readonly string[],
): RuntimeCommand[] {
  const moved = old.address !== server.address || old.port !== server.port;
  const weightOf = ({ weight }: ConfiguredServer) => weight ?? numberAfter(inherited, "weight") ?? 1;
  const reweighed = weightOf(old) !== weightOf(server);
  const toggled = old.disabled !== server.disabled;
  if (!moved && !reweighed && !toggled) return [];
  return [
    {
      kind: "set",
      backend,
      server: server.name,
      ...(moved && { address: server.address, port: server.port }),
      ...(reweighed && { weight: weightOf(server) }),
      ...(toggled && { state: server.disabled ? "maint" : "ready" }),
    },
  ];
}

/** The words in which two servers differ, by name, without values that may be secret. */
function changedWords(old: ConfiguredServer, server: ConfiguredServer): string {
  if (old.address !== server.address || old.port !== server.port)
    return "the address (it is not an IP address with a port)";
  const [before, after] = [fixedWords(old), fixedWords(server)];
  const at = after.findIndex((word, index) => word !== before[index]);
  const index = at < 0 ? after.length : at;
  const keyword = [...after.slice(0, index + 1), ...before.slice(index, index + 1)].findLast((word) =>
    /^[a-z][a-z0-9-]*$/.test(word),
  );
  return keyword ?? "a parameter";
}

/** The new `maxconn` of a frontend or listen that has one in both versions; others depend on the global one, which only a start computes. */
function maxconnOf(before: Section, after: Section): number | undefined {
  if (after.keyword !== "frontend" && after.keyword !== "listen") return undefined;
  const [old, now] = [before, after].map((section) => numberAfter(lastLine(section, "maxconn"), "maxconn"));
  return old === undefined ? undefined : now;
}

function lastLine(section: Section, keyword: string): string[] {
  let words: string[] = [];
  for (const line of section.lines)
    if (line.words[0]?.value === keyword) words = line.words.map(({ value }) => value);
  return words;
}

/** Names of servers, by backend. */
export type TouchedServers = ReadonlyMap<string, ReadonlySet<string>>;

/** The servers that changes are about. */
export function touchedServers(servers: readonly ServerEventFacts[]): TouchedServers {
  const touched = new Map<string, Set<string>>();
  for (const { backend, server } of servers)
    touched.set(backend, (touched.get(backend) ?? new Set()).add(server.name));
  return touched;
}

/** All servers of several sets. */
export function mergeTouched(sets: readonly TouchedServers[]): TouchedServers {
  const merged = new Map<string, Set<string>>();
  for (const touched of sets) {
    for (const [backend, names] of touched)
      merged.set(backend, new Set([...(merged.get(backend) ?? []), ...names]));
  }
  return merged;
}
