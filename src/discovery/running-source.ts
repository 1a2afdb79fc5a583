import type { Logger } from "pino";
import type { DiscoveredService } from "../../gen/haplane/v1/service_discovery_pb.js";
import { type BackoffOptions, createBackoff } from "../lib/backoff.ts";
import type { Clock } from "../lib/clock.ts";
import { createDoubtfulAsking, type DoubtfulAsking } from "./ask-in-doubt.ts";
import type { BackendNames } from "./backend-names.ts";
import { type Confirmations, createConfirmations } from "./confirmations.ts";
import { countLive } from "./count-live.ts";
import type { Departures } from "./departures.ts";
import { describeIgnored, describeService } from "./describe-service.ts";
import type { Address } from "./endpoint.ts";
import { createFollower, type FollowerContext } from "./follower.ts";
import type { Memory } from "./memory.ts";
import { instanceName, nameInstances } from "./names.ts";
import { createNewBackends, type NewBackends } from "./new-backends.ts";
import { createPasses } from "./passes.ts";
import { createQueryLog, LIST, type QueryLog } from "./query-log.ts";
import { isManaged } from "./reconcile.ts";
import type {
  Instance,
  InstancesListed,
  LeftOut,
  Registry,
  RegistryEvent,
  ServicesListed,
} from "./registry.ts";
import { isAllIgnored, liveServers, replacedServers, type Service, unusableInstances } from "./service.ts";
import { isFreeSlot, type SlotPolicy } from "./slots.ts";
import { isEveryFollowerDone, isEveryServiceThere, stateOf } from "./state-of.ts";
import type { State, Status } from "./status.ts";
import { type LossLimits, Steady } from "./steady.ts";
import type { Target } from "./target.ts";

/** What all sources share. */
export interface SourceContext {
  readonly target: Target;
  readonly departures: Departures;
  readonly backendNames: BackendNames;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How a source makes backends and servers, and takes servers away. */
export interface Making {
  /** The `defaults` section of new backends; empty for none. */
  readonly defaults: string;
  /** Words behind the address of new servers. */
  readonly options: readonly string[];
  /** How slots are made; undefined when there are to be none. */
  readonly slots: SlotPolicy | undefined;
  /** How long a server that is removed may take to end its connections, in milliseconds. */
  readonly drainMs: number;
}

/** What one source is to do. */
export interface SourceTask {
  /** `sources/{source}`; the author of its changes. */
  readonly name: string;
  readonly registry: Registry;
  /** What it calls the backend of a service. */
  readonly nameBackend: (service: string) => string;
  /** The waits after failures of the registry. */
  readonly retry: BackoffOptions;
  /** Which losses are not believed at once. */
  readonly losses: LossLimits;
  /** How its backends and servers are made and taken away. */
  readonly making: Making;
  /** Where the run before this one ended. */
  readonly memory: Memory;
  /** Called when the kind of its state has changed. */
  readonly onState: () => void;
  /** Called when `services` may have changed. */
  readonly onServices: () => void;
  /** Called when `memory` has changed. */
  readonly onMemory: () => void;
}

/**
 * One run of a source, from its start to its stop: it hears what the registry says, has `Steady` judge what is lost, and lets a follower for each service bring
 * the backends there. It begins from the memory and the document, so that after a restart, or with new settings, it goes on where the run before ended.
 */
export class RunningSource {
  readonly #context: SourceContext;
  readonly #task: SourceTask;
  readonly #log: Logger;
  readonly #services = new Map<string, Service>();
  readonly #steady: Steady;
  readonly #confirmations: Confirmations;
  readonly #newBackends: NewBackends;
  readonly #followerContext: FollowerContext;
  readonly #queries: QueryLog;
  readonly #passes = createPasses();
  /** Backends of services that are forgotten. */
  readonly #left: Set<string>;
  /** Resolved when nothing is under way. */
  readonly #settling = new Set<() => void>();
  readonly #abort = new AbortController();
  readonly #ended: Promise<void>;
  readonly #asking: DoubtfulAsking;
  #listIndex: bigint;
  #doubt: string;
  #hasList = false;
  #ignored: ReadonlyMap<string, string> = new Map();
  #isComplete = false;
  /** The review that is to come; undefined when nothing was heard since the last. */
  #soon: NodeJS.Immediate | undefined;
  #state: State = { kind: "starting" };

  /** Starts at once. */
  constructor(task: SourceTask, context: SourceContext) {
    const { clock, target, departures } = context;
    this.#context = context;
    this.#task = task;
    this.#log = context.logger.child({ source: task.name });
    this.#queries = createQueryLog(task.memory.index, clock, this.#log);
    this.#asking = createDoubtfulAsking(clock, () => task.registry.refresh());
    this.#listIndex = task.memory.index;
    this.#doubt = task.memory.doubt;
    this.#left = new Set(task.memory.left);
    this.#steady = new Steady(task.losses);
    this.#confirmations = createConfirmations({
      steady: this.#steady,
      registry: task.registry,
      clock,
      backoff: createBackoff(task.retry),
      signal: this.#abort.signal,
      onJudged: (service) => this.#judged(service),
      onFailure: (error) => this.#queries.note(error),
    });
    this.#newBackends = createNewBackends(target, clock, task.name);
    this.#followerContext = {
      target,
      departures,
      newBackends: this.#newBackends,
      clock,
      author: task.name,
      signal: this.#abort.signal,
      defaults: task.making.defaults,
      slots: task.making.slots,
      drainMs: task.making.drainMs,
    };
    for (const [service, backend] of task.memory.backends) this.#add(service, backend);
    if (this.#doubt !== "") this.#steady.doubt(this.#doubt);
    this.#asking.set(this.#doubt !== "");
    const unsubscribe = target.subscribe(() => this.#recheck());
    this.#abort.signal.addEventListener("abort", unsubscribe, { once: true });
    this.#ended = task.registry.watch((event) => this.#hear(event), task.memory.index, this.#abort.signal);
  }

  /** Nothing is sent any more when it returns; resolves when every connection is closed. */
  async stop(): Promise<void> {
    this.#abort.abort();
    this.#asking.stop();
    clearImmediate(this.#soon);
    this.#newBackends.stop();
    for (const { follower, backend } of this.#services.values()) {
      follower.stop();
      this.#context.backendNames.release(backend);
    }
    this.#passes.end();
    this.#tellSettled(true);
    await this.#ended;
  }

  /** Asks the registry for everything once more; resolves when what follows from the answers is done or refused. `acceptLoss`: believes what the answers say. */
  async sync(acceptLoss: boolean): Promise<void> {
    const passed = this.#passes.begin(this.#services.keys());
    this.#task.registry.refresh();
    const answered = await passed;
    if (this.#abort.signal.aborted) return;
    if (acceptLoss) for (const name of answered) this.#acceptLoss(name);
    this.#review();
    if (!isEveryFollowerDone(this.#services))
      await new Promise<void>((resolve) => this.#settling.add(resolve));
  }

  #acceptLoss(name: string): void {
    const service = this.#services.get(name);
    if (service === undefined || this.#steady.kept(name).size === 0) return;
    this.#log.warn({ service: name }, "a loss is believed because somebody said so");
    this.#steady.accept(name);
    this.#follow(service, nameInstances(service.answer ?? []));
  }

  /** The services that have a backend and those that are ignored, ordered by name. */
  get services(): DiscoveredService[] {
    const { target, departures } = this.#context;
    const followed = [...this.#services.values()].map((service) =>
      describeService(this.#task.name, service, {
        present: target.servers(service.backend),
        leaving: departures.of(service.backend),
        kept: this.#steady.kept(service.name),
        failure: this.#queries.failureOf(service.name),
      }),
    );
    const ignored = [...this.#ignored].map(([name, reason]) =>
      describeIgnored(this.#task.name, name, reason),
    );
    return [...followed, ...ignored].sort((a, b) => (a.service < b.service ? -1 : 1));
  }

  /** What the next run has to know. */
  get memory(): Memory {
    if (this.#soon !== undefined) this.#review();
    const backends = new Map<string, string>();
    for (const { name, backend } of this.#services.values()) backends.set(name, backend);
    return { index: this.#listIndex, doubt: this.#doubt, backends, left: this.#left };
  }

  get status(): Status {
    const { target, departures } = this.#context;
    const { index, lastSuccessMs, lastError } = this.#queries;
    if (this.#soon !== undefined) this.#review();
    return {
      ...{ state: this.#state, index, lastSuccessMs, lastError },
      ...countLive(this.#services.values(), target, departures),
      unbelieved: this.#steady.reason ?? "",
    };
  }

  /** Never throws: a defect in here must not end the watch. */
  #hear(event: RegistryEvent): void {
    if (this.#abort.signal.aborted) return;
    try {
      this.#take(event);
    } catch (error) {
      this.#log.error({ err: error, kind: event.kind }, "what the registry said could not be followed");
      this.#queries.note(error);
    }
    this.#reviewSoon();
  }

  #take(event: RegistryEvent): void {
    switch (event.kind) {
      case "services":
        this.#heardServices(event);
        break;
      case "instances":
        this.#heardInstances(event);
        break;
      case "failure":
        this.#queries.failed(event.service ?? LIST, event.error.message);
        this.#passes.answered(event.service, false);
        this.#steady.shake();
        this.#queries.note(event.error);
        break;
      case "doubt":
        this.#log.warn({ reason: event.reason, service: event.service }, "the registry is in doubt");
        this.#steady.doubt(event.reason, event.service);
        break;
    }
  }

  #heardServices({ services, ignored, index }: ServicesListed): void {
    this.#queries.succeeded(LIST, index);
    this.#hasList = true;
    this.#ignored = ignored;
    const isNews = index !== this.#listIndex;
    this.#listIndex = index;
    for (const name of services) if (!this.#services.has(name)) this.#add(name);
    for (const service of [...this.#services.values()]) {
      service.isListed = services.has(service.name);
      if (!service.isListed) this.#heardAbsence(service);
    }
    this.#passes.answered(undefined, true);
    if (isNews) this.#task.onMemory();
  }

  #heardAbsence(service: Service): void {
    this.#queries.forget(service.name);
    if (this.#context.target.servers(service.backend) === undefined) this.#forget(service);
    else if (service.answer?.length !== 0 || this.#isInDoubt) this.#observe(service, []);
    this.#passes.gone(service.name);
    this.#forgetIfGone(service);
  }

  #heardInstances({ service: name, instances, leftOut, index }: InstancesListed): void {
    const service = this.#services.get(name);
    if (service === undefined) return;
    this.#queries.succeeded(name, index);
    this.#noteLeftOut(service, leftOut);
    // All of it is somebody else's: no backend is made for that.
    if (instances.length === 0 && isAllIgnored(leftOut) && !this.#hasBackend(service)) service.answer = [];
    else if (service.answer !== instances || this.#isInDoubt) this.#observe(service, instances);
    this.#passes.answered(name, true);
  }

  #observe(service: Service, instances: readonly Instance[]): void {
    const named = nameInstances(instances);
    this.#steady.observe(
      service.name,
      new Set(named.keys()),
      replacedServers(service.servers, named),
      this.#context.clock.monotonic(),
    );
    if (service.answer !== instances) service.changedMs = this.#context.clock.now();
    service.answer = instances;
    this.#follow(service, named);
    this.#confirmations.arm();
  }

  #judged(name: string): void {
    const service = this.#services.get(name);
    if (service === undefined) return;
    this.#log.info({ service: name }, "a loss was confirmed by a strict read");
    this.#follow(service, nameInstances(service.answer ?? []));
    this.#review();
  }

  #follow(service: Service, named: ReadonlyMap<string, Instance>): void {
    const keep = this.#steady.kept(service.name);
    const servers = new Map<string, Address>(named);
    for (const name of keep) {
      const address = service.servers.get(name);
      if (address !== undefined) servers.set(name, address);
    }
    service.servers = servers;
    service.live = undefined;
    const keptAt = new Map([...servers].filter(([name]) => keep.has(name)));
    service.follower.follow({ servers: named, keep, keptAt, options: this.#task.making.options });
  }

  #add(name: string, remembered?: string): void {
    const { target, backendNames } = this.#context;
    const backend = backendNames.claim(this.#task.name, name, this.#task.nameBackend, remembered);
    const present = liveServers(target.servers(backend) ?? [], this.#context.departures.of(backend));
    const servers = new Map(present.map((server) => [instanceName(server.name), server]));
    this.#left.delete(backend);
    if (remembered === undefined) this.#passes.found(name);
    this.#steady.know(name, new Set(servers.keys()));
    this.#services.set(name, {
      name,
      backend,
      follower: createFollower(backend, this.#followerContext, () => this.#followerChanged(name)),
      isListed: false,
      answer: undefined,
      servers,
      leftOut: [],
      changedMs: undefined,
      live: undefined,
    });
    if (remembered === undefined) this.#task.onMemory();
  }

  #followerChanged(name: string): void {
    const service = this.#services.get(name);
    if (service === undefined || this.#abort.signal.aborted) return;
    service.live = undefined;
    this.#forgetIfGone(service);
    this.#reviewSoon();
  }

  /** A service that is listed no more and has no server left is forgotten; its backend stays. */
  #forgetIfGone(service: Service): void {
    const { backend, name } = service;
    if (this.#services.get(name) !== service || !this.#hasList || service.isListed) return;
    if (this.#context.departures.of(backend).size > 0) return;
    if (this.#context.target.servers(backend)?.some((server) => isManaged(server) && !isFreeSlot(server)))
      return;
    this.#forget(service);
  }

  #forget({ name, backend, follower }: Service): void {
    follower.stop();
    if (this.#context.target.servers(backend) !== undefined) this.#left.add(backend);
    this.#services.delete(name);
    this.#steady.forget(name);
    this.#context.backendNames.release(backend);
    this.#task.onMemory();
  }

  get #isInDoubt(): boolean {
    return this.#steady.doubtReason !== "";
  }

  #recheck(): void {
    for (const service of [...this.#services.values()]) {
      service.live = undefined;
      service.follower.recheck();
    }
    this.#task.onServices();
  }

  #noteLeftOut(service: Service, leftOut: readonly LeftOut[]): void {
    const before = unusableInstances(service.leftOut);
    const now = unusableInstances(leftOut);
    service.leftOut = leftOut;
    if (now.length === 0 || now.join() === before.join()) return;
    this.#log.warn({ service: service.name, instances: now }, "instances cannot be used");
  }

  #hasBackend({ backend }: Service): boolean {
    return this.#context.target.servers(backend) !== undefined;
  }

  /** Reviews once what is heard in one turn of the event loop: with a thousand services, to look at all for each answer would cost most of it. */
  #reviewSoon(): void {
    this.#soon ??= setImmediate(() => this.#review());
  }

  /** Works out the state anew from the facts, and tells of it where its kind has changed. */
  #review(): void {
    clearImmediate(this.#soon);
    this.#soon = undefined;
    this.#noteDoubt();
    this.#isComplete ||= this.#hasList && isEveryServiceThere(this.#services);
    this.#tellSettled();
    const before = this.#state;
    this.#state = stateOf(this.#services, this.#steady, this.#queries, this.#isComplete);
    this.#task.onServices();
    if (this.#state.kind === before.kind) return;
    const { kind } = this.#state;
    this.#log.info({ state: kind, reason: "reason" in this.#state ? this.#state.reason : "" }, "state");
    this.#task.onState();
  }

  #noteDoubt(): void {
    const doubt = this.#steady.doubtReason;
    if (doubt === this.#doubt) return;
    if (doubt === "") this.#log.info("the registry is believed again");
    else
      this.#log.warn(
        { reason: this.#steady.reason },
        "what the registry no longer lists is not believed to be gone",
      );
    this.#doubt = doubt;
    this.#task.onMemory();
    this.#asking.set(doubt !== "");
  }

  #tellSettled(isForced = false): void {
    if (this.#settling.size === 0 || !(isForced || isEveryFollowerDone(this.#services))) return;
    for (const resolve of this.#settling) resolve();
    this.#settling.clear();
  }
}
