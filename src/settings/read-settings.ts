import { whyUnreadable } from "../lib/files.ts";
import type { AllGiven } from "./given.ts";
import { type Environment, readEnvironment } from "./read-environment.ts";
import { readSettingsFile } from "./read-file.ts";
import { readFlags } from "./read-flags.ts";
import { resolve } from "./resolve.ts";
import { FILE_SETTING } from "./schema.ts";
import type { Profile, Settings } from "./settings.ts";
import { SettingsError } from "./settings-error.ts";

/** Where `haplane serve` looks for a settings file that nobody names. */
export const DEFAULT_FILE = "/etc/haplane/haplane.yaml";

/** Reads a file as text; undefined when there is none. */
export type ReadText = (path: string) => string | undefined;

/** Reads flags, environment and settings file: a flag wins over the environment, which wins over the file. Throws a SettingsError with everything that is wrong. */
export function readSettings(
  profile: Profile,
  argv: readonly string[],
  environment: Environment,
  read: ReadText = () => undefined,
): Settings {
  const problems: string[] = [];
  const flags = readFlags(argv, problems);
  const given = new Map([
    ...fileOf(profile, flags.file ?? environment[FILE_SETTING.variable], read, problems),
    ...readEnvironment(environment, problems),
    ...flags.given,
  ]);
  const settings = resolve(profile, given, problems);
  if (problems.length > 0) throw new SettingsError(problems.join("\n"));
  return settings;
}

function fileOf(profile: Profile, named: string | undefined, read: ReadText, problems: string[]): AllGiven {
  const path = named || (profile === "serve" ? DEFAULT_FILE : undefined);
  if (path === undefined) return new Map();
  let text: string | undefined;
  try {
    text = read(path);
  } catch (error) {
    problems.push(`${path}: cannot be read: ${whyUnreadable(error)}`);
    return new Map();
  }
  if (text !== undefined) return readSettingsFile(path, text, problems);
  if (named) problems.push(`${path}: there is no such file`);
  return new Map();
}
