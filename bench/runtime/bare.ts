/**
 * A bare grpc-js server whose handler sends commands to HAProxy. A request is a line with a number, then the commands, a line each. It is answered with as many ready bytes, or for 0 with what HAProxy printed.
 * `node bare.ts LISTEN STATS`
 */

import process from "node:process";
import * as grpc from "@grpc/grpc-js";
import { Prompt } from "./prompt.ts";

const [listen, stats] = process.argv.slice(2) as [string, string];
const prompt = new Prompt(stats);
const asIs = (bytes: Buffer) => bytes;
let bytes = Buffer.alloc(0);
const ready = (size: number) => {
  if (bytes.length !== size) bytes = Buffer.alloc(size, "x");
  return bytes;
};
const server = new grpc.Server();
server.addService(
  {
    ask: {
      ...{ path: "/bare/Ask", requestStream: false, responseStream: false },
      ...{ requestSerialize: asIs, requestDeserialize: asIs },
      ...{ responseSerialize: asIs, responseDeserialize: asIs },
    },
  },
  {
    ask(call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) {
      const [size, ...commands] = call.request.toString().split("\n");
      prompt
        .askTogether(commands)
        .then(
          (answers) => done(null, size === "0" ? Buffer.from(answers.join("")) : ready(Number(size))),
          done,
        );
    },
  },
);
server.bindAsync(`unix:${listen}`, grpc.ServerCredentials.createInsecure(), (error) => {
  if (error !== null) throw error;
  process.stdout.write("ready\n");
});
