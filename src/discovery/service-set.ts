import type { Address } from "./endpoint.ts";
import { createFollower, type FollowerContext } from "./follower.ts";
import { instanceName, nameInstances } from "./names.ts";
import { isManaged } from "./reconcile.ts";
import type { Instance } from "./registry.ts";
import { liveServers, replacedServers, type Service } from "./service.ts";
import { isFreeSlot } from "./slots.ts";
import type { SourceContext, SourceTask } from "./source-task.ts";
import type { Steady } from "./steady.ts";

/** What the services of a run are given. */
export interface ServiceSetOptions {
  readonly context: SourceContext;
  readonly task: SourceTask;
  readonly followerContext: FollowerContext;
  readonly steady: Steady;
  /** What is kept of some service may have changed. */
  readonly onObserved: () => void;
  /** Something about a service or its backend has changed; not called any more when the run has ended. */
  readonly onChange: () => void;
}

/** What a list of services changes. */
export interface ListOutcome {
  /** Names that are new. */
  readonly found: readonly string[];
  /** Those that are not on it. */
  readonly absent: readonly Service[];
}

/** The services that a run follows, each with its backend: from when the registry first lists one until it is listed no more and its last server has gone. */
export class ServiceSet {
  readonly #options: ServiceSetOptions;
  readonly #services = new Map<string, Service>();
  /** Backends of services that are forgotten: backend → service. */
  readonly #left: Map<string, string>;
  #hasList = false;

  /** Begins with what is remembered from the run before. */
  constructor(options: ServiceSetOptions) {
    this.#options = options;
    this.#left = new Map(options.task.memory.left);
    for (const [service, backend] of options.task.memory.backends) this.#add(service, backend);
  }

  get all(): ReadonlyMap<string, Service> {
    return this.#services;
  }

  /** Whether the registry has said in this run which services there are. */
  get hasList(): boolean {
    return this.#hasList;
  }

  /** Backends that were made for services which are gone: backend → service. */
  get left(): ReadonlyMap<string, string> {
    return this.#left;
  }

  /** The registry says that these are all. */
  list(names: ReadonlySet<string>): ListOutcome {
    this.#hasList = true;
    const found = [...names].filter((name) => !this.#services.has(name));
    for (const name of found) this.#add(name);
    if (found.length > 0) this.#options.task.onMemory();
    for (const service of this.#services.values()) service.isListed = names.has(service.name);
    return { found, absent: [...this.#services.values()].filter(({ isListed }) => !isListed) };
  }

  /** The registry lists these instances of a service now. */
  observe(service: Service, instances: readonly Instance[]): void {
    const { steady, context, onObserved } = this.#options;
    const named = nameInstances(instances);
    steady.observe(
      service.name,
      new Set(named.keys()),
      replacedServers(service.servers, named),
      context.clock.monotonic(),
    );
    if (service.answer !== instances) service.changedMs = context.clock.now();
    service.answer = instances;
    this.#follow(service, named);
    onObserved();
  }

  /** The registry does not list a service. */
  miss(service: Service): void {
    const isInDoubt = this.#options.steady.doubtReason !== "";
    if (!this.hasBackend(service)) this.#forget(service);
    else if (service.answer?.length !== 0 || isInDoubt) this.observe(service, []);
    this.#forgetIfGone(service);
  }

  /** Which of its losses are believed has changed. */
  judged(service: Service): void {
    this.#follow(service, nameInstances(service.answer ?? []));
  }

  hasBackend({ backend }: Service): boolean {
    return this.#options.context.target.servers(backend) !== undefined;
  }

  /** Whether this is the backend of one of them, or of one that is forgotten. */
  hasMade(backend: string): boolean {
    if (this.#left.has(backend)) return true;
    for (const service of this.#services.values()) if (service.backend === backend) return true;
    return false;
  }

  /** Somebody else may have changed any backend. */
  recheck(): void {
    for (const service of [...this.#services.values()]) {
      service.live = undefined;
      service.follower.recheck();
    }
  }

  /** Sends nothing more. The backends' names stay claimed for the next run. */
  stop(): void {
    for (const { follower } of this.#services.values()) follower.stop();
  }

  #add(name: string, remembered?: string): void {
    const { context, task, followerContext, steady } = this.#options;
    const { target, backendNames, departures } = context;
    const backend = backendNames.claim(task.name, name, task.nameBackend, remembered);
    const present = liveServers(target.servers(backend) ?? [], departures.of(backend));
    const servers = new Map(present.map((server) => [instanceName(server.name), server]));
    this.#left.delete(backend);
    steady.know(name, new Set(servers.keys()));
    this.#services.set(name, {
      name,
      backend,
      follower: createFollower(backend, followerContext, () => this.#followerChanged(name)),
      isListed: false,
      answer: undefined,
      servers,
      leftOut: [],
      changedMs: undefined,
      live: undefined,
    });
  }

  #follow(service: Service, named: ReadonlyMap<string, Instance>): void {
    const keep = this.#options.steady.kept(service.name);
    const servers = new Map<string, Address>(named);
    for (const name of keep) {
      const address = service.servers.get(name);
      if (address !== undefined) servers.set(name, address);
    }
    service.servers = servers;
    service.live = undefined;
    const keptAt = new Map([...servers].filter(([name]) => keep.has(name)));
    const { options } = this.#options.task.making;
    service.follower.follow({ servers: named, keep, keptAt, options });
  }

  #followerChanged(name: string): void {
    const service = this.#services.get(name);
    if (service === undefined || this.#options.followerContext.signal.aborted) return;
    service.live = undefined;
    this.#forgetIfGone(service);
    this.#options.onChange();
  }

  /** A service that is listed no more and has no server left is forgotten; its backend stays. */
  #forgetIfGone(service: Service): void {
    const { target, departures } = this.#options.context;
    const { backend, name, isListed } = service;
    if (this.#services.get(name) !== service || !this.#hasList || isListed) return;
    if (departures.of(backend).size > 0) return;
    if (target.servers(backend)?.some((server) => isManaged(server) && !isFreeSlot(server))) return;
    this.#forget(service);
  }

  #forget(service: Service): void {
    const { name, backend, follower } = service;
    follower.stop();
    if (this.hasBackend(service)) this.#left.set(backend, name);
    this.#services.delete(name);
    this.#options.steady.forget(name);
    this.#options.context.backendNames.release(backend);
    this.#options.task.onMemory();
  }
}
