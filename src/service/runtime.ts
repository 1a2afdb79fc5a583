import { Runtime } from "../../gen/haplane/v1/runtime_pb.js";
import { createStatsFeed } from "../haproxy/stats-feed.ts";
import { type Service, service } from "../rpc/handler.ts";
import { persistable } from "./persist.ts";
import { getActivity, listErrors, listResolvers, listThreads } from "./runtime-diagnostics.ts";
import { execute } from "./runtime-execute.ts";
import { listFrontends, setFrontend } from "./runtime-frontends.ts";
import { getInfo } from "./runtime-info.ts";
import type { RuntimeOptions, RuntimeTools } from "./runtime-options.ts";
import { listPatternEntries, listPatternFiles } from "./runtime-patterns.ts";
import { getReload, listReloads, reloadNow } from "./runtime-reloads.ts";
import {
  addServer,
  batchSetServers,
  deleteServer,
  getServer,
  listServers,
  setServer,
} from "./runtime-servers.ts";
import { getSession, listSessions, shutdownSession } from "./runtime-sessions.ts";
import { listStats, watchStats } from "./runtime-stats.ts";
import {
  clearStickTable,
  listStickTableEntries,
  listStickTables,
  setStickTableEntry,
} from "./runtime-tables.ts";
import { getOcspResponse, getTlsFile, listOcspResponses, listTlsFiles } from "./runtime-tls.ts";
import { createServerLooks } from "./server-looks.ts";

/** `haplane.v1.Runtime` over the running HAProxy, beside what is configured, and the record of reloads. */
export function runtimeService(options: RuntimeOptions): Service {
  const { haproxy, commit, reloads, clock } = options;
  const { runtime } = haproxy;
  const { answers } = options.configuration;
  const feed = createStatsFeed((callOptions) => runtime.stats(callOptions), clock);
  const tools: RuntimeTools = { ...options, feed, lookAtServers: createServerLooks(runtime) };

  return service(Runtime, {
    getInfo: (_request, { signal }) => getInfo(tools, signal),
    listStats: (request, { signal }) => listStats(feed, request, signal),
    watchStats: (request, { signal }) => watchStats(feed, request, signal),
    async clearCounters({ all }, { signal }) {
      await runtime.tell(["clear", "counters", ...(all ? ["all"] : [])], { signal });
      return {};
    },

    listServers: (request, { signal }) => listServers(tools, request, signal),
    getServer: ({ name }, { signal }) => getServer(tools, name, signal),
    addServer: persistable(answers, Runtime.method.addServer, (...call) => addServer(tools, ...call)),
    setServer: persistable(answers, Runtime.method.setServer, (...call) => setServer(tools, ...call)),
    batchSetServers: persistable(answers, Runtime.method.batchSetServers, (...call) =>
      batchSetServers(tools, ...call),
    ),
    deleteServer: persistable(answers, Runtime.method.deleteServer, (...call) =>
      deleteServer(tools, ...call),
    ),

    listFrontends: (request) => listFrontends(tools, request),
    setFrontend: persistable(answers, Runtime.method.setFrontend, (...call) => setFrontend(tools, ...call)),

    listSessions: (request, { signal }) => listSessions(tools, request, signal),
    getSession: (request, { signal }) => getSession(tools, request, signal),
    shutdownSession: (request, { signal }) => shutdownSession(tools, request, signal),

    listStickTables: (_request, { signal }) => listStickTables(tools, signal),
    listStickTableEntries: (request, { signal }) => listStickTableEntries(tools, request, signal),
    setStickTableEntry: (request, { signal }) => setStickTableEntry(tools, request, signal),
    clearStickTable: (request, { signal }) => clearStickTable(tools, request, signal),

    listPatternFiles: (_request, { signal }) => listPatternFiles(tools, signal),
    listPatternEntries: (request, { signal }) => listPatternEntries(tools, request, signal),
    listTlsFiles: (request, { signal }) => listTlsFiles(tools, request, signal),
    getTlsFile: (request, { signal }) => getTlsFile(tools, request, signal),
    listOcspResponses: (_request, { signal }) => listOcspResponses(tools, signal),
    getOcspResponse: (request, { signal }) => getOcspResponse(tools, request, signal),

    listErrors: (request, context) => listErrors(tools, request, context),
    listResolvers: (_request, { signal }) => listResolvers(tools, signal),
    listThreads: (_request, { signal }) => listThreads(tools, signal),
    getActivity: (_request, { signal }) => getActivity(tools, signal),

    execute: (request, context) => execute(tools, request, context),

    reload: () => reloadNow(commit, reloads),
    listReloads: (request) => listReloads(reloads, request),
    getReload: ({ name }) => getReload(reloads, name),
  });
}
