import { MasterClient } from "../haproxy/master-client.ts";
import type { HaproxyVersion } from "../haproxy/version.ts";
import type { Clock } from "../lib/clock.ts";
import { validityTroubles } from "../rpc/certificate-validity.ts";
import { readTls } from "../rpc/read-tls.ts";
import type { Settings } from "../settings/settings.ts";
import { type Finding, ok, problem, warning } from "./finding.ts";
import { lookAtConfigFile, lookAtDirectory, lookAtSecret } from "./look-at-files.ts";
import { lookAtPort } from "./look-at-listeners.ts";
import { lookAtBinary, lookAtConfiguration } from "./look-at-program.ts";
import { lookAtMaster, lookAtStats } from "./look-at-sockets.ts";

/** What is looked at. */
export interface Patient {
  readonly settings: Settings;
  /** HAProxy's binary; undefined when none was found. */
  readonly haproxyBinary: string | undefined;
  readonly clock: Clock;
}

/** Looks at everything that haplane needs of this machine; starts and changes nothing. In the order in which mending it makes sense. */
export async function diagnose({ settings, haproxyBinary, clock }: Patient): Promise<Finding[]> {
  const { masterSocket, readOnly } = settings;
  const binary = await lookAtBinary(haproxyBinary);
  const files = await Promise.all(settings.config.map((path) => lookAtConfigFile(path, readOnly)));
  const canBeChecked =
    haproxyBinary !== undefined &&
    binary.version !== undefined &&
    files.every(({ verdict }) => verdict === "ok");
  return [
    ...binary.findings,
    ...files,
    ...(canBeChecked ? await lookAtConfiguration(haproxyBinary, settings.config) : []),
    ...(masterSocket === undefined
      ? [ok("haplane runs HAProxy itself (no --master-socket)")]
      : await lookAtSockets(masterSocket, settings.statsSocket, binary.version)),
    await lookAtDirectory(settings.stateDir, "state-dir"),
    ...(readOnly ? [] : await lookAtStorage(settings)),
    ...(await lookAtTls(settings, clock)),
    await lookAtPort(settings.grpc, "grpc"),
    await lookAtPort(settings.connect, "connect"),
  ];
}

/** The master socket, and the stats socket that was given or that the worker says it has. */
async function lookAtSockets(
  masterSocket: string,
  given: string | undefined,
  binary: HaproxyVersion | undefined,
): Promise<Finding[]> {
  const { findings, workerPid } = await lookAtMaster(masterSocket, binary);
  const path = given ?? (workerPid === undefined ? undefined : await findStats(masterSocket, workerPid));
  const stats =
    path === undefined
      ? problem(
          "HAProxy has no stats socket that allows everything",
          "write `stats socket /run/haproxy/admin.sock mode 600 level admin` into the section global",
        )
      : await lookAtStats(path);
  return [...findings, stats];
}

/** The stats socket that haplane would find by itself. */
function findStats(masterSocket: string, workerPid: number): Promise<string | undefined> {
  return new MasterClient(masterSocket, () => {}).adminSocket(workerPid).catch(() => undefined);
}

function lookAtStorage({ directories }: Settings): Promise<Finding[]> {
  return Promise.all([
    lookAtDirectory(directories.sslCerts, "ssl-certs-dir"),
    lookAtDirectory(directories.maps, "maps-dir"),
    lookAtDirectory(directories.general, "general-dir"),
    lookAtDirectory(directories.spoe, "spoe-dir"),
  ]);
}

async function lookAtTls(
  { tls, allowPlaintext, certificateNoticeMs }: Settings,
  clock: Clock,
): Promise<Finding[]> {
  if (tls === undefined)
    return allowPlaintext
      ? [
          warning(
            "TLS is not served, and plaintext is allowed beyond this machine",
            "give --tls-certificate and --tls-key",
          ),
        ]
      : [];
  try {
    const { certificate: pem } = await readTls(tls);
    const troubles = validityTroubles({ path: tls.certificate, pem }, clock.now(), certificateNoticeMs).map(
      ({ kind, what }) =>
        (kind === "untimely" ? problem : warning)(
          what,
          "put another there (--tls-certificate, --tls-key) and send SIGHUP",
        ),
    );
    const secret = await lookAtSecret(tls.key, "tls-key");
    return [
      ok(`TLS is served with ${tls.certificate}`),
      ...troubles,
      ...(secret === undefined ? [] : [secret]),
    ];
  } catch (error) {
    return [
      problem((error as Error).message, "mend the files that --tls-certificate, --tls-key and --tls-ca name"),
    ];
  }
}
