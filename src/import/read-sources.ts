import { StartError } from "../lib/start-error.ts";
import { type Consul, type ImportedSource, importConsul } from "./import-source.ts";
import type { Note } from "./note.ts";

/** The files of a Data Plane API's service discovery, as texts; undefined where there is none. */
export interface DiscoveryFiles {
  /** Of `service_discovery/consul.json`. */
  readonly consul: string | undefined;
  /** Of `service_discovery/aws.json`. */
  readonly aws: string | undefined;
  /** The `service_discovery.consuls` of an older settings file, as they stand there. */
  readonly listed: unknown;
}

/** All sources that a Data Plane API watches, as ours. Throws `StartError` for a file that is no JSON. */
export function readSources(files: DiscoveryFiles): { sources: ImportedSource[]; notes: Note[] } {
  const consuls = [...entriesOf("consul.json", files.consul), ...objectsIn(files.listed)];
  const sources: ImportedSource[] = [];
  const seen = new Set<string>();
  for (const consul of consuls) {
    // An older file and a newer one tell of the same.
    const identity = `${consul.address}:${consul.port}/${consul.namespace ?? ""}`;
    if (seen.has(identity)) continue;
    seen.add(identity);
    sources.push(importConsul(consul, new Set(sources.map(({ id }) => id))));
  }
  const notes = entriesOf("aws.json", files.aws).map(({ name }) => ({
    at: "aws.json",
    text: `has the source ${JSON.stringify(name ?? "")} in AWS, which has no counterpart: its backends stay as they are and follow nothing`,
  }));
  return { sources, notes };
}

function entriesOf(name: string, text: string | undefined): Consul[] {
  if (text === undefined || text.trim() === "") return [];
  try {
    return objectsIn(JSON.parse(text));
  } catch (error) {
    throw new StartError(`${name} is no JSON: ${(error as Error).message}`);
  }
}

/** Versions keep them as a list, as a list under one name, or by their ids. */
function objectsIn(value: unknown): Consul[] {
  if (Array.isArray(value)) return value.filter((one) => typeof one === "object" && one !== null);
  if (typeof value !== "object" || value === null) return [];
  if ("address" in value || "region" in value) return [value as Consul];
  return Object.values(value).flatMap(objectsIn);
}
