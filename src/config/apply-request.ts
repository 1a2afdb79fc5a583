import type { ApplyRequest, Guard } from "../../gen/haplane/v1/configuration_pb.js";
import { DomainError } from "../lib/errors.ts";
import type { Document } from "../text/document.ts";
import { applyChanges, type Changed, type Extent, type PlacedChange } from "./apply-changes.ts";
import { desiredChanges, type Owns } from "./desired-changes.ts";
import type { Etags } from "./etag.ts";
import { languageOf } from "./languages.ts";
import { locate, readResourceId } from "./locate.ts";
import type { WriteContext } from "./write-context.ts";

/** What is to be written: all that an `Apply` can say; other writes are one change of it. */
export interface ApplyInput extends Pick<ApplyRequest, "changes" | "desired" | "prune"> {
  readonly guards: readonly Guard[];
  /** The request is one change by itself, whose fields are the request's own. */
  readonly single: boolean;
}

/** Makes a document say what a request asks for. Throws what `applyChanges` does. */
export function applyRequest(
  document: Document,
  input: ApplyInput,
  context: WriteContext,
  owns: Owns,
): Changed {
  return applyChanges(document, placedChanges(document, input, owns), input.guards, context);
}

function placedChanges(document: Document, input: ApplyInput, owns: Owns): readonly PlacedChange[] {
  const { changes, desired, prune, single } = input;
  const declarative = desired.length > 0 || prune.length > 0;
  if (declarative && changes.length > 0) {
    const description = "must be empty when desired or prune is set";
    throw new DomainError("FIELD_INVALID", `changes: ${description}`, {
      violations: [{ field: "changes", description }],
    });
  }
  if (declarative) return desiredChanges(document, { resources: desired, prune }, owns);
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
