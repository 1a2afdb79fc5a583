/** A bare grpc-js server whose handler sends one command to HAProxy and answers with what comes back. `node bare.ts LISTEN STATS` */

import process from "node:process";
import * as grpc from "@grpc/grpc-js";
import { Prompt } from "./prompt.ts";

const [listen, stats] = process.argv.slice(2) as [string, string];
const prompt = new Prompt(stats);
const asIs = (bytes: Buffer) => bytes;
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
      prompt.ask(call.request.toString()).then((answer) => done(null, Buffer.from(answer)), done);
    },
  },
);
server.bindAsync(`unix:${listen}`, grpc.ServerCredentials.createInsecure(), (error) => {
  if (error !== null) throw error;
  process.stdout.write("ready\n");
});
