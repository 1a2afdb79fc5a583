/**
 * An instance of a small HTTP application: `node app.ts NAME`. It answers every request with its name, prints its port, and ends with its standard input, so
 * that it never outlives the demo.
 */

import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";

const name = process.argv[2] ?? "app";
const server = createServer((_request, response) => response.end(name));
// HAProxy decides when an idle connection ends: a server that ends it at the same moment loses a request.
server.keepAliveTimeout = 0;
server.listen(0, "127.0.0.1");
await once(server, "listening");
process.stdin.on("end", () => process.exit()).resume();
console.log((server.address() as AddressInfo).port);
