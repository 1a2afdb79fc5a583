/**
 * Instances of a small application, in a process of their own: `node apps.ts COUNT`. Each answers every request with its port and a newline. Their ports are printed as one
 * line of JSON; the process ends with its standard input.
 */

import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";

const count = Number(process.argv[2]);
const ports: number[] = [];
for (let i = 0; i < count; i++) {
  let body = "";
  const server = createServer((_request, response) => response.end(body));
  server.keepAliveTimeout = 0;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  body = `${port}\n`;
  ports.push(port);
}
console.log(JSON.stringify(ports));
process.stdin.on("end", () => process.exit()).resume();
