import { parseArgs } from "node:util";
import { ScalarType } from "@bufbuild/protobuf";
import { type Given, readGiven } from "./given.ts";
import { FILE_SETTING, FLAG_SETTINGS } from "./schema.ts";
import { SettingsError } from "./settings-error.ts";

/** What the command line says. */
export interface Flags {
  readonly given: ReadonlyMap<string, Given>;
  /** The settings file, where one is named. */
  readonly file: string | undefined;
}

/** Reads flags. Throws SettingsError for one that does not exist; what is wrong with values is added to the problems. */
export function readFlags(argv: readonly string[], problems: string[]): Flags {
  const options = Object.fromEntries(
    FLAG_SETTINGS.map(({ flag, desc }) => [
      flag,
      { type: desc.scalar === ScalarType.BOOL ? ("boolean" as const) : ("string" as const), multiple: true },
    ]),
  );
  const values = parse(argv, { ...options, [FILE_SETTING.flag]: { type: "string", multiple: true } });
  const given = new Map<string, Given>();
  for (const setting of FLAG_SETTINGS) {
    const texts = values[setting.flag];
    if (texts === undefined) continue;
    const read = readGiven(setting, `--${setting.flag}`, texts.map(String), problems);
    if (read !== undefined) given.set(setting.desc.name, read);
  }
  const file = values[FILE_SETTING.flag]?.at(-1);
  return { given, file: file === undefined ? undefined : String(file) };
}

function parse(
  argv: readonly string[],
  options: Record<string, { type: "string" | "boolean"; multiple: true }>,
): Record<string, (string | boolean)[] | undefined> {
  try {
    return parseArgs({ args: [...argv], options, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw new SettingsError(error instanceof Error ? error.message : String(error));
  }
}
