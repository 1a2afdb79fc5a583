/** A bare grpc-js server that stores a stream of messages, hashed and durably, and sends a file back in pieces. `node bare.ts SOCKET DIRECTORY` */

import { createHash } from "node:crypto";
import { open, rename } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import * as grpc from "@grpc/grpc-js";

const PIECE_BYTES = 262_144;
const [socket, directory] = process.argv.slice(2) as [string, string];
const path = join(directory, "file");
const asIs = (bytes: Buffer) => bytes;
const codecs = {
  ...{ requestSerialize: asIs, requestDeserialize: asIs },
  ...{ responseSerialize: asIs, responseDeserialize: asIs },
};

async function upload(call: grpc.ServerReadableStream<Buffer, Buffer>): Promise<Buffer> {
  const hash = createHash("sha256");
  const file = await open(`${path}.new`, "w", 0o600);
  for await (const message of call as AsyncIterable<Buffer>) {
    hash.update(message);
    await file.write(message);
  }
  await file.sync();
  await file.close();
  await rename(`${path}.new`, path);
  const parent = await open(directory, "r");
  await parent.sync();
  await parent.close();
  return hash.digest();
}

async function download(call: grpc.ServerWritableStream<Buffer, Buffer>): Promise<void> {
  const file = await open(path, "r");
  for (;;) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(PIECE_BYTES), 0, PIECE_BYTES);
    if (bytesRead === 0) break;
    if (!call.write(buffer.subarray(0, bytesRead)))
      await new Promise((resolve) => call.once("drain", resolve));
  }
  await file.close();
  call.end();
}

const server = new grpc.Server({ "grpc-node.flow_control_window": 1024 * 1024 });
server.addService(
  {
    upload: { path: "/bare/Upload", requestStream: true, responseStream: false, ...codecs },
    download: { path: "/bare/Download", requestStream: false, responseStream: true, ...codecs },
  },
  {
    upload(call: grpc.ServerReadableStream<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) {
      upload(call).then((digest) => done(null, digest), done);
    },
    download(call: grpc.ServerWritableStream<Buffer, Buffer>) {
      download(call).catch((error: Error) => call.destroy(error));
    },
  },
);
server.bindAsync(`unix:${socket}`, grpc.ServerCredentials.createInsecure(), (error) => {
  if (error !== null) throw error;
  process.stdout.write("ready\n");
});
