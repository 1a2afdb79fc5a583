import { connect, type PeerCertificate } from "node:tls";

/** A TLS handshake. Rejects when it fails. */
export interface HandshakeOptions {
  readonly port: number;
  readonly servername: string;
  /** PEM of the authority that the server's certificate has to come from. */
  readonly ca: string;
  /** The client's own certificate, where the server wants one. */
  readonly cert?: string;
  readonly key?: string;
}

/** Connects, and returns the certificate that was served. */
export function handshake({ port, ...options }: HandshakeOptions): Promise<PeerCertificate> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, ...options });
    socket.setTimeout(10_000, () => socket.destroy(new Error("no handshake in time")));
    socket.once("error", reject);
    socket.once("secureConnect", () => {
      const certificate = socket.getPeerCertificate();
      socket.removeListener("error", reject);
      socket.on("error", () => {});
      socket.destroy();
      resolve(certificate);
    });
  });
}

/** A client that keeps connecting, one handshake after another. */
export interface Connecting {
  /** Ends it, and tells how many handshakes there were, and what failed. */
  stop(): Promise<{ readonly count: number; readonly failures: readonly Error[] }>;
}

/** More say nothing more. */
const MAX_FAILURES = 20;

/** Keeps connecting until it is stopped. */
export function keepConnecting(options: HandshakeOptions): Connecting {
  const failures: Error[] = [];
  let count = 0;
  let stopped = false;
  const run = (async () => {
    while (!stopped && failures.length < MAX_FAILURES) {
      await handshake(options).catch((error: Error) => failures.push(error));
      count += 1;
    }
  })();
  return {
    async stop() {
      stopped = true;
      await run;
      return { count, failures };
    },
  };
}
