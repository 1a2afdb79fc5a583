import { type Given, readGiven } from "./given.ts";
import { FLAG_SETTINGS } from "./schema.ts";

/** Variables by name, as a process has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Reads what the environment says; an empty variable says nothing. What is wrong is added to the problems. */
export function readEnvironment(environment: Environment, problems: string[]): ReadonlyMap<string, Given> {
  const given = new Map<string, Given>();
  for (const setting of FLAG_SETTINGS) {
    const variable = setting.variables.find((name) => (environment[name] ?? "") !== "");
    if (variable === undefined) continue;
    const text = environment[variable] ?? "";
    const read = readGiven(setting, variable, setting.multiple ? text.split(",") : [text], problems);
    if (read !== undefined) given.set(setting.desc.name, read);
  }
  return given;
}
