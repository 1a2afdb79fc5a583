import type { Guard } from "../../gen/haplane/v1/configuration_pb.js";
import { DomainError } from "../lib/errors.ts";
import type { Document } from "../text/document.ts";
import { languageOf } from "./languages.ts";
import { locate, readResourceId, writeResourceId } from "./locate.ts";
import type { WriteContext } from "./write-context.ts";

/** Throws `ETAG_MISMATCH` when a guarded resource is not as the caller knows it. */
export function checkGuards(document: Document, guards: readonly Guard[], { etags }: WriteContext): void {
  for (const [index, { name, etag }] of guards.entries()) {
    const id = readResourceId(name, `options.guards[${index}].name`, languageOf(document));
    const located = locate(document, id);
    const current = located === undefined ? "" : etags.of(located);
    if (current === etag) continue;
    throw new DomainError("ETAG_MISMATCH", `${writeResourceId(id)} is not as it was`, {
      resource: { type: "resource", name: writeResourceId(id) },
      metadata: { sent: etag.slice(0, 100), current },
    });
  }
}
