import { createHmac } from "node:crypto";
import { join, resolve } from "node:path";
import { create } from "@bufbuild/protobuf";
import type { Logger } from "pino";
import { Registry } from "prom-client";
import { EventSchema, EventType } from "../gen/haplane/v1/events_pb.js";
import { Commit } from "./commit/commit.ts";
import { fileReferences } from "./config/file-references.ts";
import { templateWords } from "./config/server-template.ts";
import { findUser, listUsers } from "./config/userlist.ts";
import { createSources } from "./discovery/create-sources.ts";
import { watchServices } from "./discovery/service-changes.ts";
import type { Sources } from "./discovery/sources.ts";
import { createEventHub } from "./events/create-event-hub.ts";
import { PresentState } from "./events/present-state.ts";
import { DEFAULT_WATCH_LIMITS } from "./events/watch-limits.ts";
import { createHaproxy } from "./haproxy/create-haproxy.ts";
import type { Haproxy, StopRequest } from "./haproxy/haproxy.ts";
import type { Clock } from "./lib/clock.ts";
import { requireReadable } from "./lib/regular-file.ts";
import { ShutdownStack } from "./lib/shutdown-stack.ts";
import { openEdge, readListening } from "./open-edge.ts";
import { createHealth } from "./rpc/health.ts";
import type { ListenAddress } from "./rpc/listener.ts";
import type { ListedUsers } from "./rpc/principals.ts";
import { createAuditTrail } from "./service/audit-event.ts";
import { createCommitMetrics } from "./service/commit-metrics.ts";
import { configurationService } from "./service/configuration.ts";
import { createDiscoveryMetrics } from "./service/discovery-metrics.ts";
import { eventsService } from "./service/events.ts";
import { fileEvent, presentFile } from "./service/file-event.ts";
import { createFirstAnswers } from "./service/first-answers.ts";
import { healthRoute, keepHealth } from "./service/health.ts";
import { metricsRoute, registerMetrics } from "./service/metrics.ts";
import { openConfiguration } from "./service/open-configuration.ts";
import { openSpoe } from "./service/open-spoe.ts";
import { configurationEvents, presentTransaction } from "./service/present-events.ts";
import { processEvent, tellProcess } from "./service/process-event.ts";
import { runtimeService } from "./service/runtime.ts";
import { watchServerStatus } from "./service/server-status.ts";
import { serviceDiscoveryService } from "./service/service-discovery.ts";
import { serviceChangeEvent, serviceEvent } from "./service/service-event.ts";
import { sourceChangeEvent, sourceEvent } from "./service/source-event.ts";
import { spoeService } from "./service/spoe.ts";
import { storageService } from "./service/storage.ts";
import type { Settings } from "./settings/settings.ts";
import { openDirectories } from "./storage/directories.ts";
import { createPatternEntries } from "./storage/pattern-entries.ts";
import { createStorage } from "./storage/storage.ts";
import { makeStateDirectory } from "./store/state-directory.ts";
import { openStore } from "./store/store.ts";

/** Calls under way and open streams get this long when haplane stops. */
const GRACE_MS = 8_000;

/** What a server is built from. */
export interface ServerOptions {
  readonly settings: Settings;
  readonly logger: Logger;
  readonly clock: Clock;
  /** This process's id, told to whoever finds the state directory in use. */
  readonly pid: number;
  /** The binary to check with, and to run when haplane runs HAProxy itself. */
  readonly haproxyBinary: string | undefined;
}

/** A running haplane. */
export interface Server {
  readonly paths: ServerPaths;
  /** Where it listens, with the ports that port 0 became. */
  readonly listening: { readonly grpc: ListenAddress; readonly connect: ListenAddress };
  readonly haproxy: Haproxy;
  readonly sources: Sources;
  /** Resolves, never rejects, when it cannot go on: the process should end and begin anew. */
  readonly failed: Promise<Error>;
  /** Takes what may change while haplane runs, see `OpenEdge.reload`. */
  reload(settings: Settings): Promise<void>;
  /** Stops everything in order: streams and calls first, then discovery, then what is live is made durable. At most about 10 s, beside HAProxy's own grace. */
  stop(haproxy: StopRequest): Promise<void>;
}

/** The files of a state directory that others use. */
export interface ServerPaths {
  readonly adminToken: string;
  readonly grpcSocket: string;
  readonly connectSocket: string;
}

/** Where things are in a state directory. */
export function serverPaths(stateDir: string): ServerPaths {
  const at = (name: string) => resolve(stateDir, name);
  return { adminToken: at("admin.token"), grpcSocket: at("grpc.sock"), connectSocket: at("connect.sock") };
}

/** Builds all parts, starts them in order, and puts the services on listeners. When one fails, those before it are stopped again. */
export async function startServer(options: ServerOptions): Promise<Server> {
  const { settings, logger, clock, pid, haproxyBinary } = options;
  // What cannot be listened with is said before anything is started.
  const tls = await readListening(settings);
  for (const path of [...settings.config, settings.tokensFile]) requireReadable(path);
  await using starting = new ShutdownStack();
  makeStateDirectory(settings.stateDir);
  const paths = serverPaths(settings.stateDir);

  const { directories } = settings;
  const storageDirectories = await openDirectories({
    roots: directories,
    owner: { user: settings.storageOwner, group: settings.storageGroup },
    readOnly: settings.readOnly,
  });

  const store = await openStore(settings.stateDir, {
    ...{ clock, logger: logger.child({ part: "store" }), pid },
    retention: { eventBytes: settings.eventRetentionBytes, eventAgeMs: settings.eventRetentionMs },
  });
  starting.defer(() => store.close());

  const hub = createEventHub({
    log: store.events,
    clock,
    limits: { ...DEFAULT_WATCH_LIMITS, watchers: settings.limits.maxWatchers },
  });
  starting.defer(() => hub.close());
  const present = new PresentState(store.events);
  starting.defer(() => present.close());

  const configPaths = settings.config.map((path) => resolve(path));
  const haproxy = createHaproxy({
    binary: haproxyBinary,
    files: configPaths,
    masterSocket: settings.masterSocket,
    statsSocket: settings.statsSocket,
    stateDir: resolve(settings.stateDir),
    clock,
    logger: logger.child({ part: "haproxy" }),
  });
  // A start that fails leaves things as it found them.
  let stopHaproxy: StopRequest = { haproxy: "end-own" };
  starting.defer(() => haproxy.stop(stopHaproxy));

  let published = Promise.resolve();
  const publish = (events: Parameters<typeof create<typeof EventSchema>>[1][]) => {
    published = hub.publish(events.map((event) => create(EventSchema, event))).catch((error: unknown) => {
      logger.error({ err: error }, "events could not be made durable");
    });
  };
  starting.defer(haproxy.subscribe(tellProcess((event) => publish([event]))));

  const metrics = new Registry();
  const commits = createCommitMetrics(metrics);
  starting.defer(store.events.subscribe((entries) => commits.logged(entries)));
  const commit = await Commit.open({
    paths: configPaths,
    haproxy,
    store,
    clock,
    logger: logger.child({ part: "commit" }),
    publishEphemeral(make) {
      if (hub.counters.watchers > 0) hub.publishEphemeral(make());
    },
    onEnd: (end) => commits.ended(end),
    drainMsOf: (backend) => sources.drainMsOf(backend),
    policy: settings,
  });
  starting.defer(() => commit.stop());
  const discovery = createDiscoveryMetrics(metrics);
  const sources = createSources({
    target: commit.target,
    store: store.sources,
    etag: (bytes) => createHmac("sha256", store.etagKey).update(bytes).digest("base64url").slice(0, 22),
    clock,
    logger: logger.child({ part: "discovery" }),
    onApplied: discovery.applied,
    templateWords: (template, version) =>
      templateWords(
        template,
        version === "running" ? haproxy.capabilities?.version : undefined,
        "source.server_template",
      ),
  });
  // A worker that ran on without haplane is compared with the file at once, and its removals take as long as the sources say.
  await sources.load();
  await haproxy.start();
  await commit.start();
  await present.begin(() => configurationEvents(commit, store));

  starting.defer(sources.subscribe((change) => publish([sourceChangeEvent(change, clock.now())])));
  starting.defer(sources.subscribe(discovery.changed));
  sources.start();
  starting.defer(() => sources.stop());
  const services = watchServices({ sources, clock }, (changes) =>
    publish(changes.map((change) => serviceChangeEvent(change, clock.now()))),
  );
  starting.defer(() => services.close());

  const configuration = await openConfiguration({
    ...{ commit, haproxy, store, sources, clock },
    logger: logger.child({ part: "configuration" }),
    checks: haproxyBinary !== undefined,
    policy: settings,
  });
  starting.defer(() => configuration.transactions.stop());

  const { sslFiles, patternFiles } = haproxy.runtime;
  const startedAt = async () => clock.now() - (await haproxy.runtime.info()).uptimeSeconds * 1_000;
  const storage = createStorage({
    directories: storageDirectories,
    live: { sslFiles, patternFiles, startedAt },
    syncMs: settings.updateMapFilesMs,
    expiryNoticeMs: settings.certificateNoticeMs,
    onChange: (change) => publish([fileEvent(change, clock.now())]),
    referrers: (roots) => fileReferences(commit.document, roots),
    reload: async () => (await commit.reload()).reload,
    replaceByReload: async ({ resource, author, ...file }) => {
      const how = { resources: [resource], author, message: `stores ${resource}`, alwaysReload: true };
      return (await commit.replaceFiles({ ...how, files: [file] })).reload;
    },
    readOnly: settings.readOnly,
    clock,
    logger: logger.child({ part: "storage" }),
  });
  await storage.start();
  const answers = createFirstAnswers({ store, clock, logger: logger.child({ part: "storage" }) });
  starting.defer(() => storage.stop());

  const spoe = await openSpoe({
    ...{ commit, haproxy, store, clock },
    logger: logger.child({ part: "spoe" }),
    path: resolve(directories.spoe),
    owner: { user: settings.storageOwner, group: settings.storageGroup },
    readOnly: settings.readOnly,
  });
  starting.defer(() => spoe.stop());

  registerMetrics(metrics, {
    ...{ hub, commit, haproxy, sources, storage, store },
    database: join(settings.stateDir, "haplane.db"),
  });
  const health = createHealth();
  starting.defer(keepHealth(health, { haproxy, store, sources }));

  // What is published while everything starts must not come again after the present state has shown it.
  for (let known: typeof published | undefined; known !== published; ) {
    known = published;
    await known;
  }
  await present.begin(async () => [
    create(EventSchema, processEvent(haproxy.state, EventType.CURRENT)),
    ...(await spoe.present()),
    ...(await storage.describe(await storage.list(undefined))).map((file) =>
      create(EventSchema, presentFile(file)),
    ),
    ...sources
      .list()
      .map((source) => create(EventSchema, sourceEvent(source, EventType.CURRENT, clock.now()))),
    ...services
      .begin()
      .map((service) => create(EventSchema, serviceEvent(service, EventType.CURRENT, clock.now()))),
    ...[...configuration.transactions.list(), ...(await spoe.transactions.list())].map(presentTransaction),
  ]);
  starting.defer(watchServerStatus({ haproxy, hub, clock }));
  const audit = createAuditTrail({ clock, publish });
  starting.defer(() => audit.close());
  const listed = (userlist: string): ListedUsers => ({
    find: (name) => findUser(commit.document, userlist, name)?.password,
    passwords: () => listUsers(commit.document, userlist).map(({ password }) => password),
  });
  const edge = await openEdge({
    ...{ settings, tls, paths, health, listed, metrics, clock },
    services: [
      configurationService(configuration),
      serviceDiscoveryService(sources),
      storageService(storage, createPatternEntries(storage, storageDirectories, { patternFiles }), answers),
      spoeService(spoe),
      runtimeService({
        ...{ haproxy, commit, reloads: store.reloads, configuration, clock },
        logger: logger.child({ part: "runtime" }),
      }),
      eventsService(hub, present),
    ],
    routes: [metricsRoute(metrics), healthRoute(health)],
    logger,
    audit: audit.record,
  });
  starting.defer(() => edge.close(GRACE_MS));

  const running = starting.move();
  return {
    paths,
    listening: edge.listening,
    reload: (next) => edge.reload(next),
    haproxy,
    sources,
    failed: store.failed,
    async stop(request) {
      stopHaproxy = request;
      await running.stop();
    },
  };
}
