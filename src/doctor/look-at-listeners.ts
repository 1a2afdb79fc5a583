import { createServer } from "node:net";
import type { Address } from "../lib/address.ts";
import { type Finding, ok, warning } from "./finding.ts";

/** Whether a port is free. One that is taken may be so by the haplane that runs. */
export function lookAtPort({ host, port }: Address, setting: string): Promise<Finding> {
  const where = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", ({ code, message }: NodeJS.ErrnoException) => {
      const why = code === "EADDRINUSE" ? "is taken" : `cannot be listened on: ${message}`;
      resolve(
        warning(
          `${where} ${why} (--${setting})`,
          `unless it is haplane that runs there, name another with --${setting} ADDRESS`,
        ),
      );
    });
    server.listen({ host, port }, () => server.close(() => resolve(ok(`${where} is free (--${setting})`))));
  });
}
