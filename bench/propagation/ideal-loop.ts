/**
 * The least that can be done: one blocking query, one raw socket, nothing else. No health of the answer, no file, no event, no restart. `node ideal-loop.ts CONSUL-PORT SERVICE
 * STATS-SOCKET BACKEND NAME…`, in a process of its own; NAME… are the instances that are servers already. It ends with its standard input.
 */

import { Agent, get } from "node:http";
import { connect } from "node:net";
import process from "node:process";

/** An element of the answer of `/v1/health/service/…`. */
interface Entry {
  readonly Service: { readonly ID: string; readonly Address: string; readonly Port: number };
}

const [consulPort, service, statsSocket, backend, ...names] = process.argv.slice(2) as [
  ...[string, string, string, string],
  ...string[],
];
process.stdin.on("end", () => process.exit()).resume();

const answers: ((answer: string) => void)[] = [];
const socket = connect({ path: statsSocket });
let unread = "";
socket.setEncoding("utf8").on("data", (chunk) => {
  unread += chunk;
  for (let end = unread.indexOf("\n> "); end >= 0; end = unread.indexOf("\n> ")) {
    answers.shift()?.(unread.slice(0, end));
    unread = unread.slice(end + 3);
  }
});
socket.write("prompt\n");
await new Promise<string>((resolve) => answers.push(resolve));

function send(...commands: string[]): Promise<string[]> {
  socket.write(commands.map((command) => `${command}\n`).join(""));
  return Promise.all(commands.map(() => new Promise<string>((resolve) => answers.push(resolve))));
}

async function remove(name: string): Promise<void> {
  await send(`set server ${name} state maint`);
  for (;;) {
    const [answer] = await send(`del server ${name}`);
    if (answer?.includes("Server deleted") || answer?.includes("No such server")) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const agent = new Agent({ keepAlive: true });
const known = new Set(names);
let index = "0";
for (;;) {
  const entries = await new Promise<Entry[]>((resolve, reject) => {
    const path = `/v1/health/service/${service}?passing=1&index=${index}&wait=60s`;
    get({ agent, host: "127.0.0.1", port: consulPort, path }, (response) => {
      index = response.headers["x-consul-index"] as string;
      let text = "";
      response
        .setEncoding("utf8")
        .on("data", (chunk) => {
          text += chunk;
        })
        .on("end", () => resolve(JSON.parse(text)));
    }).on("error", reject);
  });
  const present = new Map(entries.map(({ Service }) => [Service.ID, Service]));
  for (const [id, { Address, Port }] of present) {
    if (known.has(id)) continue;
    known.add(id);
    void send(`add server ${backend}/${id} ${Address}:${Port}`, `enable server ${backend}/${id}`);
  }
  for (const id of known) {
    if (present.has(id)) continue;
    known.delete(id);
    void remove(`${backend}/${id}`);
  }
}
