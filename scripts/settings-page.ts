/** Writes docs/settings.md from the schema of the settings. `node scripts/settings-page.ts` */

import { writeFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { SettingsSchema } from "../gen/haplane/settings/v1/settings_pb.js";
import { DEFAULT_FILE } from "../src/settings/read-settings.ts";
import { FILE_SETTING, FLAG_SETTINGS, settingOf } from "../src/settings/schema.ts";
import { defaultText } from "../src/settings/usage.ts";

const page = fileURLToPath(new URL("../docs/settings.md", import.meta.url));

/** The page, as Markdown. */
export function settingsPage(): string {
  const rows = FLAG_SETTINGS.map((one) => {
    const { setting, desc, flag, variables } = one;
    const names = [`--${flag}`, ...variables].map((name) => `\`${name}\``).join("<br>");
    const reload = setting.reloadable ? "yes" : "";
    return `| \`${desc.name}\` | ${names} | ${cell(setting.help)} | ${cell(defaultText(one))} | ${reload} |`;
  });
  return `# Settings

<!-- Written by scripts/settings-page.ts from proto/haplane/settings/v1/settings.proto. -->

Settings are given as flags, as environment variables, or in a file: a flag wins over the environment, which wins over the file. The file is the one that \`--${FILE_SETTING.flag}\` (or
\`${FILE_SETTING.variable}\`) names; \`haplane serve\` also reads \`${DEFAULT_FILE}\` where it is there. It is YAML, and its schema is the message \`haplane.settings.v1.Settings\`:

\`\`\`yaml
config: [/etc/haproxy/haproxy.cfg]
grpc: 0.0.0.0:5555
tls_certificate: /etc/haplane/server.pem
tls_key: /etc/haplane/server.key
log_level: debug
\`\`\`

\`haplane check\` says whether settings can be used, and every mistake with its line, column and path, without starting anything. Relative paths begin where haplane is started.

| name in the file | flag and environment | meaning | default | on SIGHUP |
|---|---|---|---|---|
${rows.join("\n")}
${structured()}`;
}

/** Settings that are lists of messages: only the file has them. */
function structured(): string {
  return SettingsSchema.fields
    .flatMap((desc) => (desc.message === undefined ? [] : [{ desc, message: desc.message }]))
    .map(({ desc, message }) => {
      const { help, reloadable } = settingOf(desc);
      const fields = message.fields.map((field) => `| \`${field.name}\` | ${cell(settingOf(field).help)} |`);
      return `
## \`${desc.name}\`

In the file only: ${help}.${reloadable ? " Read anew on SIGHUP." : ""}

| name | meaning |
|---|---|
${fields.join("\n")}
`;
    })
    .join("");
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(page, settingsPage());
