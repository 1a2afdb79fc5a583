import { isDeepStrictEqual } from "node:util";
import type { Logger } from "pino";
import type { Settings } from "./settings.ts";

/** What of the settings a running haplane takes. The files of TLS are read anew; whether it is served at all is not changed. */
const TAKEN: readonly (keyof Settings)[] = [
  ...(["tokensFile", "users", "bindings", "userlist", "userlistRole", "tlsClientRole"] as const),
  ...(["corsOrigins", "logLevel", "tls"] as const),
];

/** What a reload needs. */
export interface ReloadOptions {
  /** Those that haplane was started with. */
  readonly settings: Settings;
  /** Reads them anew. */
  readonly read: () => Settings;
  /** Takes what may change. Rejects, with everything as it was, when something of it cannot be used. */
  readonly apply: (settings: Settings) => Promise<void>;
  readonly logger: Logger;
}

/** What of TLS cannot become other than it was at the start; undefined when nothing of the kind is asked for. */
function switchedTls({ tls: before }: Settings, { tls: after }: Settings): string | undefined {
  const toward = (isOn: boolean) => (isOn ? "on" : "off");
  if ((before === undefined) !== (after === undefined))
    return `tls_certificate and tls_key: TLS cannot be switched ${toward(after !== undefined)}`;
  if ((before?.ca === undefined) !== (after?.ca === undefined))
    return `tls_ca: asking clients for certificates cannot be switched ${toward(after?.ca !== undefined)}`;
  return undefined;
}

/** Makes what SIGHUP does: read the settings and the files that they name anew, take what can be taken, and say what needs a start. Never rejects; one reload waits for the one before. */
export function createReload(options: ReloadOptions): () => Promise<void> {
  const { settings: started, read, apply, logger } = options;
  let last = Promise.resolve();

  async function reload(): Promise<void> {
    try {
      const next = read();
      const switched = switchedTls(started, next);
      if (switched !== undefined) throw new Error(`${switched} while haplane runs; start it anew for that`);
      await apply(next);
      const waiting = (Object.keys(started) as (keyof Settings)[]).filter(
        (name) => !TAKEN.includes(name) && !isDeepStrictEqual(started[name], next[name]),
      );
      if (waiting.length > 0)
        logger.warn({ settings: waiting }, "these settings are taken at the next start");
      logger.info("settings, tokens and certificates were read anew");
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      logger.error({ reason }, "the settings could not be read anew; everything stays as it was");
    }
  }

  return () => {
    last = last.then(reload);
    return last;
  };
}
