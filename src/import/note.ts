/** Something that could not be taken over as it was. */
export interface Note {
  /** Where it stands: a path in the settings file, or a source. */
  readonly at: string;
  /** What became of it and what to do, as a sentence without a subject: `has no counterpart: …`. */
  readonly text: string;
}
