import type { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { configGrammar } from "../grammar/config-grammar.ts";
import { formatJson, formatText } from "./format-report.ts";
import { type FileReport, inspectFile } from "./inspect-file.ts";
import { reprint } from "./reprint.ts";

/** What the command needs of the process. */
export interface InspectIo {
  readonly readFile: typeof readFile;
  /** Writes to standard output. */
  readonly out: (output: string | Buffer) => void;
  /** Writes a message to standard error. */
  readonly error: (message: string) => void;
}

const USAGE = `Usage: haplane inspect [--json | --reprint] FILE...

Says what haplane understands of HAProxy configuration files: how many directives have a message of their own, which
have not and why, how deep the understanding goes, and whether each file prints back to the same bytes. It needs
neither a server nor HAProxy, and changes nothing.

  --json     print the report as JSON
  --reprint  print the files anew from the messages alone; comments and what is not understood stay as they are
`;

const OK = 0;
const FAILED = 1;
const BAD_USAGE = 2;

/**
 * Runs `haplane inspect` and returns its exit code: 0 when all files were read and print back to the same bytes, however much of them is
 * understood; 1 when not; 2 for arguments that make no sense.
 */
export async function runInspect(args: readonly string[], io: InspectIo): Promise<number> {
  const parsed = parse(args);
  if (typeof parsed === "string") {
    io.error(`haplane inspect: ${parsed}\n\n${USAGE}`);
    return BAD_USAGE;
  }
  if (parsed.help) {
    io.out(USAGE);
    return OK;
  }
  const grammar = configGrammar();
  const reports: FileReport[] = [];
  let failed = false;
  for (const file of parsed.files) {
    let bytes: Buffer;
    try {
      bytes = await io.readFile(file);
    } catch (error) {
      io.error(`haplane inspect: ${error instanceof Error ? error.message : String(error)}\n`);
      failed = true;
      continue;
    }
    if (parsed.reprint) io.out(reprint(grammar, bytes));
    else reports.push(inspectFile(grammar, file, bytes));
  }
  if (!parsed.reprint) io.out(parsed.json ? formatJson(reports) : formatText(reports));
  return failed || reports.some(({ lossless }) => !lossless) ? FAILED : OK;
}

interface Arguments {
  readonly json: boolean;
  readonly reprint: boolean;
  readonly help: boolean;
  readonly files: readonly string[];
}

/** The arguments, or what is wrong with them. */
function parse(args: readonly string[]): Arguments | string {
  try {
    const { values, positionals: files } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        json: { type: "boolean", default: false },
        reprint: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    if (!values.help && files.length === 0) return "name at least one file";
    if (values.json && values.reprint) return "--json and --reprint exclude each other";
    return { ...values, files };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
