import type { ApplyRequest, Guard } from "../../gen/haplane/v1/configuration_pb.js";
import { DomainError } from "../lib/errors.ts";
import { runSteps, type Steps } from "../lib/steps.ts";
import type { Document } from "../text/document.ts";
import { type Changed, changeSteps, type Extent } from "./apply-changes.ts";
import type { PlacedChange } from "./change-target.ts";
import { desiredChanges, type Owns } from "./desired-changes.ts";
import type { Etags } from "./etag.ts";
import { invalid } from "./invalid.ts";
import { languageOf } from "./languages.ts";
import { locate, readResourceId } from "./locate.ts";
import type { WriteContext } from "./write-context.ts";

/** What is to be written: all that an `Apply` can say; other writes are one change of it. */
export interface ApplyInput extends Pick<ApplyRequest, "changes" | "desired" | "prune"> {
  readonly guards: readonly Guard[];
  /** The request is one change by itself, whose fields are the request's own. */
  readonly single: boolean;
}

/** How many changes, or desired resources, a request may have: as many as a large file has backends. */
const MAX_CHANGES = 50_000;

/** Makes a document say what a request asks for. Throws what `applyChanges` does, and `LIMIT_EXCEEDED`. */
export function applyRequest(
  document: Document,
  input: ApplyInput,
  context: WriteContext,
  owns: Owns,
): Changed {
  return runSteps(requestSteps(document, input, context, owns));
}

/** `applyRequest` in steps. */
export function* requestSteps(
  document: Document,
  input: ApplyInput,
  context: WriteContext,
  owns: Owns,
): Steps<Changed> {
  checkInput(input);
  const changes = isDeclarative(input)
    ? yield* desiredChanges(document, { resources: input.desired, prune: input.prune }, owns)
    : placedChanges(input);
  return yield* changeSteps(document, changes, input.guards, context);
}

/** How much a request asks for: what it costs follows this. */
export function sizeOf({ changes, desired }: ApplyInput): number {
  return changes.length + desired.length;
}

function isDeclarative({ desired, prune }: ApplyInput): boolean {
  return desired.length > 0 || prune.length > 0;
}

function checkInput(input: ApplyInput): void {
  if (isDeclarative(input) && input.changes.length > 0)
    throw invalid("changes", "must be empty when desired or prune is set");
  const size = sizeOf(input);
  if (size <= MAX_CHANGES) return;
  throw new DomainError("LIMIT_EXCEEDED", `the request has ${size} changes, of at most ${MAX_CHANGES}`, {
    metadata: { limit: `${MAX_CHANGES} changes or desired resources in one request` },
  });
}

function placedChanges({ changes, single }: ApplyInput): readonly PlacedChange[] {
  return changes.map(({ operation }, index) => ({
    change: operation,
    path: single ? "" : `changes[${index}].${operation.case ?? "operation"}`,
  }));
}

/** What a resource is: equal as long as nothing of it changes; empty when there is none. */
export function fingerprint(document: Document, name: string, extent: Extent, etags: Etags): string {
  const located = locate(document, readResourceId(name, "name", languageOf(document)));
  if (located === undefined) return "";
  return extent === "whole" && located.child === undefined
    ? etags.ofWhole(located.section)
    : etags.of(located);
}
