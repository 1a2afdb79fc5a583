import type { Logger } from "pino";
import type { Server } from "../../gen/haplane/config/v1/server_pb.js";
import type {
  CreateSourceRequest,
  DeleteSourceRequest,
  DiscoveredService,
  Source,
  SyncSourceRequest,
  UpdateSourceRequest,
} from "../../gen/haplane/v1/service_discovery_pb.js";
import type { Clock } from "../lib/clock.ts";
import type { Kept } from "./prune.ts";
import type { Registry } from "./registry.ts";
import type { ServiceView } from "./service-views.ts";
import type { SourceSettings } from "./source-settings.ts";
import type { SourceStore } from "./source-store.ts";
import type { Target } from "./target.ts";

/**
 * All sources of this haplane: the registries that are watched, and the backends that follow them. Requests and answers are the messages of the API, so that an
 * error's field paths are those of the request. Answers carry the etag and the status, and never a token.
 *
 * All throw `DomainError`: `FIELD_INVALID` with one violation per field, `RESOURCE_EXISTS`, `RESOURCE_NOT_FOUND`, `ETAG_MISMATCH` (metadata `sent`, `current`).
 */
export interface Sources {
  /** Reads the store; nothing is watched yet. */
  load(): Promise<void>;
  /** Starts what is enabled. Returns when all are on their way, not when they have an answer. */
  start(): void;
  /** Ends every watch at once, keeps what has to be remembered, and changes nothing in HAProxy. */
  stop(): Promise<void>;
  /** Durable when it resolves. */
  create(request: CreateSourceRequest): Promise<Source>;
  get(name: string): Source;
  /** Whether a service of an enabled source has this backend, so that its servers follow a registry. Those of a disabled one are for people to change meanwhile. */
  owns(backend: string): boolean;
  /** How long a server of this backend may take to finish its connections when it is removed, in milliseconds; undefined when no source has made the backend. */
  drainMsOf(backend: string): number | undefined;
  /** All sources, ordered by name. */
  list(): readonly Source[];
  /** Goes on with the new settings; what was found so far stays live meanwhile. */
  update(request: UpdateSourceRequest): Promise<Source>;
  /** Ends the watch at once; backends stay as they are, unless the request says prune. Resolves with those that could not be removed then. */
  delete(request: DeleteSourceRequest): Promise<readonly Kept[]>;
  /** Asks a registry for everything once more; resolves when what follows is done or refused. `SOURCE_DISABLED` when nobody watches it, `RESOURCE_NOT_FOUND` also when it is deleted meanwhile. */
  sync(request: SyncSourceRequest): Promise<Source>;
  /** What a source has found, ordered by name. */
  services(name: string): readonly DiscoveredService[];
  /** The same in no order, each to be described when somebody wants it. */
  serviceViews(name: string): readonly ServiceView[];
  /** Calls `listener` when a source is created, updated or deleted and when its state changes (not per query). Returns the way to stop. */
  subscribe(listener: (change: SourceChange) => void): () => void;
  /** Calls `listener` with the name of a source when its `services` may have changed, which can be often. Returns the way to stop. */
  subscribeServices(listener: (source: string) => void): () => void;
}

/** Something happened to a source. */
export interface SourceChange {
  readonly type: "added" | "updated" | "removed";
  /** The source after it (before it, when removed), as an answer has it. */
  readonly source: Source;
}

/** What `createSources` is given. */
export interface SourcesOptions {
  readonly target: Target;
  readonly store: SourceStore;
  /** Makes an etag of a source's encoded settings; must not tell anything about them. */
  readonly etag: (bytes: Uint8Array) => string;
  readonly clock: Clock;
  readonly logger: Logger;
  /**
   * The words that a template puts behind the address of each server. Throws `FIELD_INVALID` with paths below `source.server_template`: also for what the HAProxy that runs does not know,
   * unless any version will do.
   */
  readonly templateWords: (template: Server, version: "running" | "any-version") => readonly string[];
  /** Called when HAProxy runs the servers that an answer of a source's registry added or changed, with the milliseconds since that answer was read. Removals are not told: they take as long as connections last. */
  readonly onApplied: (source: string, tookMs: number) => void;
  /** Makes the registry that a source's settings describe. Default: a Consul over HTTP, or DNS. */
  readonly openRegistry?: (settings: SourceSettings) => Registry;
}
