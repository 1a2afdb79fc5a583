import { spawn } from "node:child_process";

/** The service manager that started this process, told how the service is. */
export interface ServiceManager {
  /** The service answers: what waits for it may start. */
  ready(): void;
  /** The service ends in order. */
  stopping(): void;
}

/** How a service manager is reached. */
export interface ServiceManagerOptions {
  /** What systemd put into `NOTIFY_SOCKET`; undefined without a service manager, which is then told nothing. */
  readonly notifySocket: string | undefined;
  /** In which `systemd-notify` is found and run. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The process that is the service. */
  readonly pid: number;
  /** A notification could not be sent: systemd will take the service for one that does not start. */
  readonly onError: (error: Error) => void;
}

/**
 * Speaks to systemd (`Type=notify`). Its socket takes datagrams, which Node cannot send on a UNIX socket, so systemd's own `systemd-notify`
 * does it; being a child, it needs `NotifyAccess=all` in the unit.
 */
export function createServiceManager(options: ServiceManagerOptions): ServiceManager {
  const { notifySocket, environment, pid, onError } = options;
  const tell = (...assignments: readonly string[]) => {
    if (notifySocket === undefined) return;
    const child = spawn("systemd-notify", [`--pid=${pid}`, ...assignments], {
      env: { ...environment, NOTIFY_SOCKET: notifySocket },
      stdio: "ignore",
    });
    child.on("error", onError);
    child.on("exit", (code, signal) => {
      if (code !== 0) onError(new Error(`systemd-notify ended with ${signal ?? `exit code ${code}`}`));
    });
  };
  return {
    ready: () => tell("READY=1"),
    stopping: () => tell("STOPPING=1"),
  };
}
