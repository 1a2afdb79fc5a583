import type { Section } from "../text/section.ts";
import type { Violation } from "./check.ts";
import type { SectionReading } from "./read-section.ts";
import type { SectionCodec } from "./section-codec.ts";
import type { Version } from "./version.ts";

/** Changes to the lines of a section, by the index that a line has before any of them. */
export interface LineChanges {
  /** Lines that are deleted (undefined) or replaced, text with indentation. */
  readonly replaced: Map<number, string | Buffer | undefined>;
  /** Texts that go before a line, without indentation. */
  readonly inserted: Map<number, (string | Buffer)[]>;
}

/** A section while it is changed. */
export interface SectionEdit {
  readonly codec: SectionCodec;
  readonly section: Section;
  readonly reading: SectionReading;
  readonly version: Version | undefined;
  readonly changes: LineChanges;
  readonly violations: Violation[];
}
