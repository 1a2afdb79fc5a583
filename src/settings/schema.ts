import { type DescField, getOption } from "@bufbuild/protobuf";
import { type Setting, setting as settingOption } from "../../gen/haplane/settings/v1/options_pb.js";
import { SettingsSchema } from "../../gen/haplane/settings/v1/settings_pb.js";

/** A field of a message of settings, with what its option says. */
export interface SettingField {
  readonly desc: DescField;
  readonly setting: Setting;
}

/** A setting that is a flag and an environment variable too. */
export interface FlagSetting extends SettingField {
  /** Without the dashes, as in `state-dir`. */
  readonly flag: string;
  /** The environment variables that are read, the first one that is set. */
  readonly variables: readonly string[];
  /** Several values: the flag may be repeated, the variable separates them by commas. */
  readonly multiple: boolean;
}

/** The flag and the variable that say where the settings file is; the file itself cannot. */
export const FILE_SETTING = { flag: "settings", variable: "HAPLANE_SETTINGS" } as const;

/** What a field is beside its type. Throws for one that says nothing: it would be a setting without a meaning. */
export function settingOf(desc: DescField): Setting {
  const setting = getOption(desc, settingOption);
  if (setting.help === "") throw new Error(`${desc.parent.typeName}.${desc.name} has no help`);
  return setting;
}

/** All settings that are no messages of their own, in the order of the schema. */
export const FLAG_SETTINGS: readonly FlagSetting[] = SettingsSchema.fields
  .filter(({ message }) => message === undefined)
  .map((desc) => {
    const setting = settingOf(desc);
    const flag = desc.name.replaceAll("_", "-");
    const variables = [`HAPLANE_${desc.name.toUpperCase()}`, ...setting.variables];
    return { desc, setting, flag, variables, multiple: desc.fieldKind === "list" };
  });
