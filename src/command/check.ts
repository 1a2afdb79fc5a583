import { readFile } from "node:fs/promises";
import { type CheckOutcome, checkConfiguration } from "../haproxy/check.ts";
import type { Clock } from "../lib/clock.ts";
import { readIfThere } from "../lib/durable-file.ts";
import { requireReadable } from "../lib/regular-file.ts";
import { type ValidityTrouble, validityTroubles } from "../rpc/certificate-validity.ts";
import { readTls } from "../rpc/read-tls.ts";
import { parseTokens } from "../rpc/token-file.ts";
import type { Settings } from "../settings/settings.ts";
import { SettingsError } from "../settings/settings-error.ts";

/** What `haplane check` needs beside its settings. */
export interface CheckIo {
  readonly settings: Settings;
  /** Undefined: none was found, and the configuration is not checked. */
  readonly haproxyBinary: string | undefined;
  readonly clock: Clock;
  readonly out: (text: string) => void;
}

/**
 * Says whether the settings can be used and whether HAProxy accepts the configuration; starts nothing and writes nothing. Settings that cannot be read have been
 * refused before (exit code 2).
 *
 * @returns Whether everything is right.
 */
export async function runCheck({ settings, haproxyBinary, clock, out }: CheckIo): Promise<boolean> {
  settings.config.forEach(requireReadable);
  const troubles = settings.tls === undefined ? [] : await checkTls(settings.tls, settings, clock);
  await checkTokens(settings.tokensFile);
  out("settings: can be used\n");
  for (const { what } of troubles) out(`  warning: ${what}\n`);
  if (haproxyBinary === undefined) {
    out("configuration: not checked, since no haproxy was found; --haproxy FILE says where it is\n");
    return false;
  }
  const program = { binary: haproxyBinary, environment: undefined, directory: undefined };
  const outcome = await checkConfiguration(program, settings.config);
  out(describe(outcome, settings.config.join(", ")));
  return outcome.ok;
}

/** Says what is wrong with when the certificates are valid. Throws a StartError when TLS cannot be served with them. */
async function checkTls(
  tls: NonNullable<Settings["tls"]>,
  { certificateNoticeMs }: Settings,
  clock: Clock,
): Promise<readonly ValidityTrouble[]> {
  const { certificate: pem } = await readTls(tls);
  return validityTroubles({ path: tls.certificate, pem }, clock.now(), certificateNoticeMs);
}

/** Throws a SettingsError for lines that are no tokens. */
async function checkTokens(file: string): Promise<void> {
  requireReadable(file);
  const { problems } = parseTokens((await readIfThere({ readFile }, file))?.toString() ?? "");
  if (problems.length > 0)
    throw new SettingsError(problems.map(({ line, problem }) => `${file}:${line}: ${problem}`).join("\n"));
}

function describe({ ok, messages, failure }: CheckOutcome, files: string): string {
  const lines = messages.map(({ level, file, line, message }) => {
    const place = file === "" ? "" : `${file}:${line}: `;
    return `  ${place}${level}: ${message}`;
  });
  const verdict = ok
    ? "HAProxy accepts it"
    : `HAProxy refuses it${failure === undefined ? "" : `: ${failure}`}`;
  return [`configuration ${files}: ${verdict}`, ...lines, ""].join("\n");
}
