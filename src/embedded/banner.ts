import { formatAddress } from "../lib/address.ts";
import { formatListenAddress } from "../rpc/listener.ts";
import type { Server } from "../server.ts";
import type { Settings } from "../settings/settings.ts";

/** What the terminal says once everything runs: where things are, and commands to try that work as printed. */
export function banner(server: Server, settings: Settings, relative: (path: string) => string): string {
  const { paths, listening } = server;
  const grpc = formatListenAddress(reachable(listening.grpc));
  const connect = formatListenAddress(reachable(listening.connect));
  const http = formatAddress(reachable(settings.http));
  const token = `$(cat ${shellWord(relative(paths.adminToken))})`;
  const consul = settings.consul && formatAddress(settings.consul);
  const where: [string, string][] = [
    ["HAProxy", `http://${http}/SERVICE/…   configuration ${settings.config.map(relative).join(", ")}`],
    ["gRPC", `${grpc}   and ${relative(paths.grpcSocket)}`],
    ["Connect, JSON", `http://${connect}   and ${relative(paths.connectSocket)}; /metrics, /healthz`],
    ["admin token", relative(paths.adminToken)],
    ...(consul === undefined ? [] : [["Consul", `http://${consul}`] as [string, string]]),
    ...(settings.logFile === undefined ? [] : [["log", relative(settings.logFile)] as [string, string]]),
  ];
  const tries = [
    "# what there is to call, by buf, which npm has installed (reflection needs no proto files and, on this machine, no token)",
    `npx buf curl --protocol grpc --http2-prior-knowledge --list-methods http://${grpc}`,
    "# the same, for those who have grpcurl",
    `grpcurl -plaintext ${grpc} list`,
    "# the sources and their state, as JSON",
    `curl -s -H "Authorization: Bearer ${token}" -H 'Content-Type: application/json' -d '{}' http://${connect}/haplane.v1.ServiceDiscovery/ListSources`,
    "# everything that happens, as it happens",
    `npx buf curl --protocol grpc --http2-prior-knowledge -H "Authorization: Bearer ${token}" -d '{"include_current":true}' http://${grpc}/haplane.v1.Events/Watch`,
    ...(consul === undefined
      ? []
      : [
          "# a service: start one, register it in Consul, reach it through HAProxy (a new service takes a moment, hence the retry)",
          `node -e 'require("http").createServer((_, response) => response.end("hello\\n")).listen(9001)' &`,
          `curl -s -X PUT -d '{"Name":"hello","Address":"127.0.0.1","Port":9001}' http://${consul}/v1/agent/service/register`,
          `curl -s --fail --retry 5 --retry-all-errors http://${http}/hello/`,
        ]),
  ];
  const width = Math.max(...where.map(([name]) => name.length));
  return [
    "",
    "haplane is running.",
    "",
    ...where.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`),
    "",
    "Try:",
    "",
    ...tries.map((line) => `  ${line}`),
    "",
    "Ctrl-C stops everything.",
    "",
  ].join("\n");
}

/** Where this machine reaches what listens on all its addresses. */
function reachable<Where extends object>(where: Where): Where {
  const host = "host" in where ? where.host : undefined;
  const local = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : undefined;
  return local === undefined ? where : { ...where, host: local };
}

/** A word as a shell reads it: quoted where it has to be. */
function shellWord(word: string): string {
  return /^[\w./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
