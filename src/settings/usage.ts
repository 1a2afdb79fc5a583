import { DEFAULT_FILE } from "./read-settings.ts";
import { FILE_SETTING, FLAG_SETTINGS, type FlagSetting } from "./schema.ts";

/** What `haplane help` prints. */
export function usage(): string {
  const rows = [
    [
      `--${FILE_SETTING.flag} FILE`,
      `settings file, YAML (docs/settings.md). Default: ${DEFAULT_FILE} where it is there (serve). [${FILE_SETTING.variable}]`,
    ],
    ...FLAG_SETTINGS.map((one) => [
      `--${one.flag} ${one.setting.placeholder}`.trimEnd(),
      `${one.setting.help}.${defaultSentence(one)} [${one.variables[0]}]`,
    ]),
  ] as [string, string][];
  const width = Math.max(...rows.map(([flag]) => flag.length));
  return `Usage: haplane COMMAND [SETTINGS]

Commands:
  serve                                run haplane beside an HAProxy, or with one of its own, in production
  start                                run everything on this machine to try it: HAProxy, Consul, haplane
  inspect FILE…  [--json | --reprint]  say what haplane understands of configuration files
  check                                say whether settings and configuration can be used, and start nothing
  token create NAME ROLE               make a bearer token, print it once, and keep its hash; token list, token delete NAME
  doctor                               say what of this machine works for haplane, what does not, and what to do
  import FILE      [--output FILE]     make settings and sources of those of an HAProxy Data Plane API
  backup DIR                           copy the state directory's database and tokens into a new directory, also while haplane runs
  version                              print haplane's version
  help                                 print this

Settings (a flag wins over the environment variable in brackets, which wins over the settings file):
${rows.map(([flag, help]) => `  ${flag.padEnd(width)}  ${help}`).join("\n")}
`;
}

function defaultSentence(one: FlagSetting): string {
  const text = defaultText(one);
  return text === "" ? "" : ` Default: ${text}.`;
}

/** The default of a setting in words; empty when there is none. */
export function defaultText({ setting }: Pick<FlagSetting, "setting">): string {
  const byProfile = [
    setting.startDefault && `${setting.startDefault} (start)`,
    setting.serveDefault && `${setting.serveDefault} (serve)`,
  ];
  return [setting.default, ...byProfile, setting.otherwise].filter((text) => text !== "").join(", ");
}
