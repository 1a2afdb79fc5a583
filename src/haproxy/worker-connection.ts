import { findWorkerPrompt } from "./answer-reader.ts";
import { parseInfo } from "./info.ts";
import { PromptConnection } from "./prompt-connection.ts";
import type { HaproxyVersion } from "./version.ts";

/** A prompt connection whose other end is known: it stays with this worker for as long as it is open, also after a reload. */
export interface WorkerConnection {
  readonly prompt: PromptConnection;
  readonly pid: number;
  readonly version: HaproxyVersion;
  /** True when the worker only finishes its connections. */
  readonly stopping: boolean;
}

/**
 * What every connection begins with: severities in front of messages, an idle timeout that outlives the pauses between commands
 * (`stats timeout` is 10 s by default), and the question who answers.
 */
const GREETING = ["set severity-output number", "set timeout cli 1d", "show info"];

/** Connects to the stats socket, undefined when the configuration has none to use. Rejects with the system's error, the signal's reason, or when it is not HAProxy that answers. */
export async function connectWorker(
  statsSocket: string | undefined,
  signal: AbortSignal,
): Promise<WorkerConnection> {
  if (statsSocket === undefined)
    throw new Error("the configuration has no UNIX `stats socket` with `level admin`");
  const { connection, answers } = await PromptConnection.open(
    statsSocket,
    findWorkerPrompt,
    GREETING,
    signal,
  );
  const info = parseInfo(answers.at(-1) ?? "");
  if (info === undefined) {
    connection.close();
    throw new Error("the stats socket does not answer `show info`");
  }
  return { prompt: connection, pid: info.pid, version: info.version, stopping: info.stopping };
}
