import { environmentName, SETTINGS } from "./settings.ts";

/** What `haplane help` prints. */
export function usage(): string {
  const rows = Object.entries(SETTINGS).map(([name, setting]) => {
    const value = "value" in setting ? ` ${setting.value}` : "";
    return [`--${name}${value}`, `${setting.help}. [${environmentName(name)}]`] as const;
  });
  const width = Math.max(...rows.map(([flag]) => flag.length));
  return `Usage: haplane COMMAND [SETTINGS]

Commands:
  serve                                run haplane beside an HAProxy, or with one of its own, in production
  start                                run everything on this machine to try it: HAProxy, Consul, haplane
  inspect FILE…  [--json | --reprint]  say what haplane understands of configuration files
  help                                 print this

Settings (a flag wins over the environment variable in brackets):
${rows.map(([flag, help]) => `  ${flag.padEnd(width)}  ${help}`).join("\n")}
`;
}
