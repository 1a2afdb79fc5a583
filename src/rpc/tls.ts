import type { Server, Socket } from "node:net";
import { type PeerCertificate, TLSSocket, type TlsOptions, Server as TlsServer } from "node:tls";

import { alternativeNames } from "./alternative-names.ts";

/** What a listener serves TLS with; all PEM. */
export interface TlsMaterial {
  /** The certificate, its issuers behind it. */
  readonly certificate: Buffer;
  readonly key: Buffer;
  /** Authorities of client certificates. Undefined: clients are not asked for one. */
  readonly ca: Buffer | undefined;
}

/** Who a verified client certificate is for. */
export interface ClientCertificate {
  /** Common name of the subject; empty when it has none. */
  readonly commonName: string;
  /** Subject alternative names, such as `DNS:client.example.com`. */
  readonly names: readonly string[];
}

/** Node's options for a server that serves TLS with this. */
export function tlsOptions(
  { certificate, key, ca }: TlsMaterial,
  { alpn, handshakeTimeoutMs }: { readonly alpn: string[]; readonly handshakeTimeoutMs: number },
): TlsOptions {
  return {
    ...{ cert: certificate, key, minVersion: "TLSv1.2", ALPNProtocols: alpn },
    handshakeTimeout: handshakeTimeoutMs,
    ...(ca !== undefined && { ca, requestCert: true, rejectUnauthorized: false }),
  };
}

/** Serves new connections of a TLS server with other certificates. Whether clients are asked for theirs stays as it is. */
export function renewTls(server: Server, { certificate, key, ca }: TlsMaterial): void {
  if (server instanceof TlsServer)
    server.setSecureContext({
      ...{ cert: certificate, key, minVersion: "TLSv1.2" },
      ...(ca !== undefined && { ca }),
    });
}

/**
 * Accepts connections that are through the handshake. One whose client shows a certificate that the authorities did not sign is ended: it is better told at once than answered as nobody.
 */
export function acceptVerified(accept: (socket: TLSSocket) => void): (socket: TLSSocket) => void {
  return (socket) => {
    if (!socket.authorized && socket.getPeerX509Certificate() !== undefined) socket.destroy();
    else accept(socket);
  };
}

/** Whom the verified certificate of a connection's peer is for; undefined without one. */
export function certificateOf(socket: Socket): ClientCertificate | undefined {
  return socket instanceof TLSSocket && socket.authorized ? identify(socket.getPeerCertificate()) : undefined;
}

/** The same, of a certificate that is known to be verified. */
export function identify(certificate: PeerCertificate | undefined): ClientCertificate | undefined {
  if (certificate?.raw === undefined) return undefined;
  const { subject, subjectaltname = "" } = certificate;
  return {
    commonName: [subject?.CN ?? ""].flat()[0] ?? "",
    names: alternativeNames(subjectaltname),
  };
}
