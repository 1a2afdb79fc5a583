/** The bound: node:http2 streams that are written ready frames, and nothing else. `node raw.ts SOCKET`. */

import { createServer, type ServerHttp2Stream } from "node:http2";
import process from "node:process";
import { obey } from "./control.ts";
import { frameOf } from "./event.ts";

const [socket] = process.argv.slice(2) as [string];
const streams = new Set<ServerHttp2Stream>();
const server = createServer({ settings: { maxConcurrentStreams: 1_000 } });
server.on("stream", (stream) => {
  stream.respond({ ":status": 200, "content-type": "application/grpc+proto" });
  // As the bookmark that a watch begins with: it says that the stream is open.
  stream.write(frameOf(0));
  stream.on("error", () => {});
  stream.on("close", () => streams.delete(stream));
  streams.add(stream);
});
let count = 0;
server.listen(socket, () =>
  obey((size) => {
    for (let i = 0; i < size; i += 1) {
      const frame = frameOf(count++);
      for (const stream of streams) stream.write(frame);
    }
  }),
);
