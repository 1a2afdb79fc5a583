const LF = 10;

/** Bytes cut into lines: line `i` lies from `starts[i]` to `starts[i + 1]`, its line feed included. */
export interface Source {
  readonly bytes: Buffer;
  /** One offset more than there are lines; the last is the length of the bytes. */
  readonly starts: Uint32Array;
}

/** Cuts bytes into lines at every line feed, as HAProxy does. A last line without one counts as well. */
export function splitLines(bytes: Buffer): Source {
  let starts = new Uint32Array((bytes.length >> 5) + 16);
  let count = 1;
  let at = 0;
  while (at < bytes.length) {
    const feed = bytes.indexOf(LF, at);
    at = feed < 0 ? bytes.length : feed + 1;
    if (count === starts.length) {
      const grown = new Uint32Array(count * 2);
      grown.set(starts);
      starts = grown;
    }
    starts[count++] = at;
  }
  return { bytes, starts: starts.slice(0, count) };
}

/** The number of lines. */
export function lineCount(source: Source): number {
  return source.starts.length - 1;
}
