import { isMap, LineCounter, parseDocument } from "yaml";
import { StartError } from "../lib/start-error.ts";

/** One value of a settings file: where it is, such as `haproxy.reload.reload_delay`, and what it is. Lists are one value. */
export interface Leaf {
  readonly path: string;
  readonly value: unknown;
}

/** A settings file is a page; whatever is larger is something else. */
const MAX_LENGTH = 4 * 1024 * 1024;

/** Reads YAML as the values that it holds. Throws `StartError` with line and column. */
export function readLeaves(name: string, text: string): Leaf[] {
  if (text.length > MAX_LENGTH) throw new StartError(`${name} has more than ${MAX_LENGTH} characters`);
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const [error] = document.errors;
  if (error !== undefined) {
    const { line, col } = lines.linePos(error.pos[0]);
    throw new StartError(`${name}:${line}:${col}: ${error.message}`);
  }
  if (document.contents !== null && !isMap(document.contents))
    throw new StartError(`${name} is no mapping of names to values`);
  return leavesOf("", document.toJS({ maxAliasCount: 100 }) ?? {});
}

function leavesOf(path: string, value: unknown): Leaf[] {
  if (value === null || value === undefined) return [];
  if (typeof value !== "object" || Array.isArray(value)) return [{ path, value }];
  return Object.entries(value).flatMap(([name, inner]) =>
    leavesOf(path === "" ? name : `${path}.${name}`, inner),
  );
}
