/** A bare grpc-js server: every method answers with the bytes that its request is mapped to. `node bare.ts SOCKET FILE`, where FILE has the answers as JSON: path → base64. */

import { readFileSync } from "node:fs";
import process from "node:process";
import * as grpc from "@grpc/grpc-js";

const [socket, file] = process.argv.slice(2) as [string, string];
const answers = JSON.parse(readFileSync(file, "utf8")) as Record<string, string>;
const server = new grpc.Server();
const asIs = (bytes: Buffer) => bytes;
for (const [path, base64] of Object.entries(answers)) {
  const answer = Buffer.from(base64, "base64");
  server.addService(
    {
      answer: {
        ...{ path, requestStream: false, responseStream: false },
        ...{
          requestSerialize: asIs,
          requestDeserialize: asIs,
          responseSerialize: asIs,
          responseDeserialize: asIs,
        },
      },
    },
    { answer: (_call: unknown, done: grpc.sendUnaryData<Buffer>) => done(null, answer) },
  );
}
server.bindAsync(`unix:${socket}`, grpc.ServerCredentials.createInsecure(), (error) => {
  if (error !== null) throw error;
  process.stdout.write("ready\n");
});
