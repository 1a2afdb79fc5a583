import { filesNamed } from "../config/file-words.ts";
import type { Haproxy } from "../haproxy/haproxy.ts";
import type { Document } from "../text/document.ts";
import type { AttachedChange } from "./attached-files.ts";
import { type Classification, classify } from "./classify.ts";
import type { Edit } from "./edit.ts";

/** What an edit means on the document of a moment. */
export type Judgement = NeedsReload | Unchanged | Judged;

/** HAProxy can follow by commands, or has nothing to do. */
export interface Judged {
  readonly kind: "runtime";
  readonly before: Document;
  readonly after: Document;
  readonly classification: Classification;
}

/** The edit makes no difference. */
export interface Unchanged {
  readonly kind: "unchanged";
  readonly before: Document;
}

/** HAProxy cannot follow by commands. */
export interface NeedsReload {
  readonly kind: "reload";
  readonly before: Document;
  readonly after: Document;
  readonly classification: Classification;
}

/** What an edit that makes no difference takes. */
export const NOTHING: Classification = { via: "none", reasons: [], commands: [], servers: [] };

/** What an edit is judged against. */
export interface Moment {
  /** What the worker runs. */
  readonly running: Document;
  /** The newest document. */
  readonly before: Document;
}

/** What an edit and the files that change along with it mean at a moment. Throws what the edit throws. */
export function judge(
  haproxy: Haproxy,
  { running, before }: Moment,
  edit: Edit,
  attached: readonly AttachedChange[],
): Judgement {
  const after = edit.apply(before);
  if (after === before && attached.length === 0) return { kind: "unchanged", before };
  const classification = unlessDown(haproxy, classifyWithFiles(haproxy, running, after, edit, attached));
  if (classification.via === "reload") return { kind: "reload", before, after, classification };
  return { kind: "runtime", before, after, classification };
}

/** The class of a change, with the files that change along with it: HAProxy reads those again by a reload only. What goes along with commands takes one too: one step takes back both. */
function classifyWithFiles(
  haproxy: Haproxy,
  running: Document,
  after: Document,
  { alwaysReload }: Edit,
  attached: readonly AttachedChange[],
): Classification {
  const classification = classify(running, after, haproxy.capabilities?.version);
  if (attached.length === 0) return classification;
  const everyOne = alwaysReload === true || classification.via === "runtime";
  const paths = attached.map(({ path }) => path);
  const named = new Set(filesNamed(after, paths));
  const reasons = attached
    .filter(({ path }) => everyOne || named.has(path))
    .map(({ path, next }) => `${next === undefined ? "removes" : "replaces"} ${path}`);
  if (reasons.length === 0) return classification;
  return { ...classification, via: "reload", reasons: [...classification.reasons, ...reasons], commands: [] };
}

/** Nobody takes commands from an HAProxy that is down: it is started from what is written. */
function unlessDown({ state }: Haproxy, classification: Classification): Classification {
  if (state.kind === "running") return classification;
  const reasons = [...classification.reasons, "HAProxy does not run, and is started from it"];
  return { ...classification, via: "reload", reasons, commands: [] };
}
