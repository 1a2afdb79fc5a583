import { createHmac, createSecretKey } from "node:crypto";
import type { Chunk } from "../text/chunk.ts";
import { ownEnd } from "../text/extent.ts";
import type { Line } from "../text/line.ts";
import type { Section } from "../text/section.ts";
import { isChildLine } from "./children.ts";
import type { SectionKind } from "./kinds.ts";
import type { Located } from "./locate.ts";

/** Makes etags. */
export interface Etags {
  /** The etag of a resource: it changes exactly when the resource's own lines do, whatever becomes of its children. */
  of(located: Located): string;
  /** The etag of a resource that is one line. */
  ofLine(line: Line): string;
  /** The etag of a section with all that is in it. */
  ofWhole(section: Section): string;
}

const LENGTH = 22;
const FEED = Buffer.from("\n");

/** Etags under an installation's key, without which nobody can find out by trying what a secret in a line is. */
export function createEtags(key: Uint8Array): Etags {
  // Made once: a key given as bytes costs five times the digest of a line.
  const secret = createSecretKey(key);
  const own = new WeakMap<Section, string>();
  const whole = new WeakMap<Section, string>();
  const digest = (pieces: Iterable<Uint8Array>): string => {
    const hmac = createHmac("sha256", secret);
    for (const piece of pieces) hmac.update(piece);
    return hmac.digest("base64url").slice(0, LENGTH);
  };
  const remembered = (known: WeakMap<Section, string>, section: Section, make: () => string): string => {
    let etag = known.get(section);
    if (etag === undefined) {
      etag = make();
      known.set(section, etag);
    }
    return etag;
  };
  return {
    of: ({ section, kind, child, index }) =>
      child === undefined
        ? remembered(own, section, () => digest(ownLines(kind, section)))
        : digest([contentOf(section.lines.at(index)!)]),
    ofLine: (line) => digest([contentOf(line)]),
    ofWhole: (section) => remembered(whole, section, () => digest(allLines(section))),
  };
}

/** The lines of a section without its children and without what belongs to the section below. */
function* ownLines(kind: SectionKind, section: Section): Generator<Uint8Array> {
  const end = ownEnd(section);
  let first = 0;
  for (const chunk of section.lines.chunks) {
    if (first >= end) return;
    if (first + chunk.length <= end) yield ownLinesOf(kind, chunk);
    else yield joined(kind, chunk, end - first);
    first += chunk.length;
  }
}

function* allLines(section: Section): Generator<Uint8Array> {
  const end = ownEnd(section);
  let index = 0;
  for (const line of section.lines) {
    if (index++ >= end) return;
    yield contentOf(line);
    yield FEED;
  }
}

const KNOWN = new WeakMap<Chunk, { readonly kind: SectionKind; readonly bytes: Uint8Array }>();

function ownLinesOf(kind: SectionKind, chunk: Chunk): Uint8Array {
  const known = KNOWN.get(chunk);
  if (known?.kind === kind) return known.bytes;
  const bytes = joined(kind, chunk, chunk.length);
  KNOWN.set(chunk, { kind, bytes });
  return bytes;
}

function joined(kind: SectionKind, chunk: Chunk, count: number): Uint8Array {
  const pieces: Uint8Array[] = [];
  for (let offset = 0; offset < count; offset++) {
    const line = chunk.at(offset);
    if (!isChildLine(kind, line)) pieces.push(contentOf(line), FEED);
  }
  return Buffer.concat(pieces);
}

/** A line without its end: the last line of a file gets one when something is put behind it. */
function contentOf(line: Line): Uint8Array {
  const { bytes, newline } = line;
  return bytes.subarray(0, bytes.length - newline.length);
}
