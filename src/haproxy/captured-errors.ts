/** An invalid request or response that HAProxy has kept (management guide, section 9.3, `show errors`). */
export interface CapturedError {
  /** As printed, in HAProxy's local time. */
  readonly time: string;
  readonly response: boolean;
  readonly proxy: string;
  /** Empty when there is none. */
  readonly backend: string;
  readonly server: string;
  readonly event: number;
  readonly source: string;
  readonly length: number;
  /** Where the mistake is; undefined where HAProxy does not say. */
  readonly position: number | undefined;
  /** What was kept, with offsets, as printed. It may hold secrets of clients. */
  readonly capture: string;
}

const HEAD = /^\[([^\]]+)\] (frontend|backend) (\S+) \(#-?\d+\): /;

/** Reads the answer to `show errors`. */
export function parseErrors(answer: string): CapturedError[] {
  const blocks: string[][] = [];
  for (const line of answer.split("\n")) {
    if (HEAD.test(line)) blocks.push([]);
    blocks.at(-1)?.push(line);
  }
  return blocks.map(readBlock);
}

function readBlock([head = "", ...lines]: readonly string[]): CapturedError {
  const [, time = "", side = "", proxy = ""] = HEAD.exec(head) ?? [];
  // The dump comes last, behind a line that is blank.
  const dump = lines.findIndex((line) => /^ {2}\d{5}[+ ]/.test(line));
  const facts = (dump === -1 ? lines : lines.slice(0, dump)).join("\n");
  const find = (pattern: RegExp) => pattern.exec(facts)?.[1] ?? "";
  const named = (what: string) => find(new RegExp(`\\b${what} (\\S+) \\(#`)).replace(/^<NONE>$/, "");
  const position = find(/error at position (\d+)/);
  return {
    time,
    response: side === "backend",
    proxy,
    backend: side === "backend" ? proxy : named("backend"),
    server: named("server"),
    event: Number(find(/event #(\d+)/)),
    source: find(/\bsrc (\S+)/),
    length: Number(find(/\blen (\d+)/)),
    position: position === "" ? undefined : Number(position),
    capture: dump === -1 ? "" : `${lines.slice(dump).join("\n").trimEnd()}\n`,
  };
}
