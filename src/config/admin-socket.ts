import type { Document } from "../text/document.ts";
import { directiveReader } from "./section-lines.ts";

/** Whether a line of `global` opens a socket on which everything is allowed. */
export function hasAdminSocket(document: Document): boolean {
  return document
    .list("global")
    .some((section) =>
      statsLines(section).some(
        ([kind, , ...words]) => kind === "socket" && words[words.lastIndexOf("level") + 1] === "admin",
      ),
    );
}

const statsLines = directiveReader("stats");
