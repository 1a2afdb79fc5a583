import type { Logger } from "pino";
import { type BackoffOptions, createBackoff } from "../lib/backoff.ts";
import type { Clock } from "../lib/clock.ts";
import type { BackendNames } from "./backend-names.ts";
import { type Confirmations, createConfirmations } from "./confirmations.ts";
import type { Departures } from "./departures.ts";
import { createFollower, type Follower, type FollowerContext } from "./follower.ts";
import type { Memory } from "./memory.ts";
import { nameInstances, originalName } from "./names.ts";
import { createNewBackends, type NewBackends } from "./new-backends.ts";
import { isManaged } from "./reconcile.ts";
import type {
  Instance,
  InstancesListed,
  LeftOut,
  Registry,
  RegistryEvent,
  ServicesListed,
} from "./registry.ts";
import type { State, Status } from "./status.ts";
import { type LossLimits, Steady } from "./steady.ts";
import type { Target, TargetServer } from "./target.ts";

/** What all sources share. */
export interface SourceContext {
  readonly target: Target;
  readonly departures: Departures;
  readonly backendNames: BackendNames;
  readonly clock: Clock;
  readonly logger: Logger;
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
  /** Where the run before this one ended. */
  readonly memory: Memory;
  /** Called when the kind of its state has changed. */
  readonly onState: () => void;
  /** Called when `memory` has changed. */
  readonly onMemory: () => void;
}

/** A service that the registry lists, or listed once, and its backend. */
interface Service {
  readonly name: string;
  readonly backend: string;
  readonly follower: Follower;
  /** Whether the registry's last list has it. */
  isListed: boolean;
  /** The registry's last answer about it; undefined before the first of this run. */
  answer: readonly Instance[] | undefined;
  /** The servers that it should have or keeps: name → endpoint. */
  servers: ReadonlyMap<string, Address>;
  /** Those of its instances that get no traffic, as the registry's last answer has them. */
  leftOut: readonly LeftOut[];
}

interface Address {
  readonly address: string;
  readonly port: number;
}

/** How the list of services is called among the failing queries; no service has this name. */
const LIST = "";

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
  /** Queries that have no good answer at present, and why. */
  readonly #failing = new Map<string, string>();
  readonly #abort = new AbortController();
  readonly #ended: Promise<void>;
  #index: bigint;
  #listIndex: bigint;
  #doubt: string;
  #hasList = false;
  #isComplete = false;
  #lastSuccessMs: number | undefined;
  #lastError: Status["lastError"];
  #state: State = { kind: "starting" };

  /** Starts at once. */
  constructor(task: SourceTask, context: SourceContext) {
    const { clock, target, departures } = context;
    this.#context = context;
    this.#task = task;
    this.#log = context.logger.child({ source: task.name });
    this.#index = task.memory.index;
    this.#listIndex = task.memory.index;
    this.#doubt = task.memory.doubt;
    this.#steady = new Steady(task.losses);
    this.#confirmations = createConfirmations({
      steady: this.#steady,
      registry: task.registry,
      clock,
      backoff: createBackoff(task.retry),
      signal: this.#abort.signal,
      onJudged: (service) => this.#judged(service),
      onFailure: (error) => this.#noteError(error),
    });
    this.#newBackends = createNewBackends(target, clock, task.name);
    this.#followerContext = {
      target,
      departures,
      newBackends: this.#newBackends,
      clock,
      author: task.name,
    };
    for (const [service, backend] of task.memory.backends) this.#add(service, backend);
    if (this.#doubt !== "") this.#steady.doubt(this.#doubt);
    const unsubscribe = target.subscribe(() => this.#recheck());
    this.#abort.signal.addEventListener("abort", unsubscribe, { once: true });
    this.#ended = task.registry.watch((event) => this.#hear(event), task.memory.index, this.#abort.signal);
  }

  /** Nothing is sent any more when it returns; resolves when every connection is closed. */
  async stop(): Promise<void> {
    this.#abort.abort();
    this.#newBackends.stop();
    for (const { follower, backend } of this.#services.values()) {
      follower.stop();
      this.#context.backendNames.release(backend);
    }
    await this.#ended;
  }

  /** What the next run has to know. */
  get memory(): Memory {
    const backends = new Map<string, string>();
    for (const { name, backend } of this.#services.values()) backends.set(name, backend);
    return { index: this.#listIndex, doubt: this.#doubt, backends };
  }

  get status(): Status {
    let services = 0;
    let servers = 0;
    for (const { backend, isListed, follower } of this.#services.values()) {
      const present = this.#context.target.servers(backend);
      if (present === undefined || follower.isCreating) continue;
      if (isListed) services++;
      servers += present.filter((server) => this.#isLive(backend, server)).length;
    }
    return {
      state: this.#state,
      index: this.#index,
      lastSuccessMs: this.#lastSuccessMs,
      lastError: this.#lastError,
      services,
      servers,
    };
  }

  /** Never throws: a defect in here must not end the watch. */
  #hear(event: RegistryEvent): void {
    if (this.#abort.signal.aborted) return;
    try {
      this.#take(event);
    } catch (error) {
      this.#log.error({ err: error, kind: event.kind }, "what the registry said could not be followed");
      this.#noteError(error);
    }
    this.#review();
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
        this.#failing.set(event.service ?? LIST, event.error.message);
        this.#steady.shake();
        this.#noteError(event.error);
        break;
      case "doubt":
        this.#log.warn({ reason: event.reason, service: event.service }, "the registry is in doubt");
        this.#steady.doubt(event.reason, event.service);
        break;
    }
  }

  #heardServices({ services, index }: ServicesListed): void {
    this.#noteSuccess(LIST, index);
    this.#hasList = true;
    const isNews = index !== this.#listIndex;
    this.#listIndex = index;
    for (const name of services) if (!this.#services.has(name)) this.#add(name);
    for (const service of [...this.#services.values()]) {
      service.isListed = services.has(service.name);
      if (!service.isListed) this.#heardAbsence(service);
    }
    if (isNews) this.#task.onMemory();
  }

  #heardAbsence(service: Service): void {
    this.#failing.delete(service.name);
    if (this.#context.target.servers(service.backend) === undefined) this.#forget(service);
    else if (service.answer?.length !== 0 || this.#isInDoubt) this.#observe(service, []);
    this.#forgetIfGone(service);
  }

  #heardInstances({ service: name, instances, leftOut, index }: InstancesListed): void {
    const service = this.#services.get(name);
    if (service === undefined) return;
    this.#noteSuccess(name, index);
    this.#noteLeftOut(service, leftOut);
    // All of it is somebody else's: no backend is made for that.
    if (instances.length === 0 && isAllIgnored(leftOut) && !this.#hasBackend(service)) service.answer = [];
    else if (service.answer !== instances || this.#isInDoubt) this.#observe(service, instances);
  }

  #observe(service: Service, instances: readonly Instance[]): void {
    const named = nameInstances(instances);
    this.#steady.observe(
      service.name,
      new Set(named.keys()),
      replaced(service.servers, named),
      this.#context.clock.monotonic(),
    );
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
    service.follower.follow({ servers: named, keep });
  }

  #add(name: string, remembered?: string): void {
    const { target, backendNames } = this.#context;
    const backend = backendNames.claim(this.#task.name, name, this.#task.nameBackend, remembered);
    const servers = new Map(
      (target.servers(backend) ?? [])
        .filter((server) => this.#isLive(backend, server))
        .map((server) => [originalName(server.name), server]),
    );
    this.#steady.know(name, new Set(servers.keys()));
    this.#services.set(name, {
      name,
      backend,
      follower: createFollower(backend, this.#followerContext, () => this.#followerChanged(name)),
      isListed: false,
      answer: undefined,
      servers,
      leftOut: [],
    });
    if (remembered === undefined) this.#task.onMemory();
  }

  #followerChanged(name: string): void {
    const service = this.#services.get(name);
    if (service === undefined || this.#abort.signal.aborted) return;
    this.#forgetIfGone(service);
    this.#review();
  }

  /** A service that is listed no more and has no server left is forgotten; its backend stays. */
  #forgetIfGone(service: Service): void {
    const { backend, name } = service;
    if (this.#services.get(name) !== service || !this.#hasList || service.isListed) return;
    if (this.#context.departures.of(backend).size > 0) return;
    if (this.#context.target.servers(backend)?.some(isManaged)) return;
    this.#forget(service);
  }

  #forget({ name, backend, follower }: Service): void {
    follower.stop();
    this.#services.delete(name);
    this.#steady.forget(name);
    this.#context.backendNames.release(backend);
    this.#task.onMemory();
  }

  get #isInDoubt(): boolean {
    return this.#steady.doubtReason !== "";
  }

  #recheck(): void {
    for (const { follower } of [...this.#services.values()]) follower.recheck();
  }

  #isLive(backend: string, server: TargetServer): boolean {
    return isManaged(server) && !this.#context.departures.of(backend).has(server.name);
  }

  #noteSuccess(query: string, index: bigint): void {
    this.#failing.delete(query);
    this.#index = index;
    this.#lastSuccessMs = this.#context.clock.now();
  }

  #noteError(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.#lastError = { atMs: this.#context.clock.now(), message };
    this.#log.debug({ reason: message }, "a query got no good answer");
  }

  #noteLeftOut(service: Service, leftOut: readonly LeftOut[]): void {
    const before = unusable(service.leftOut);
    const now = unusable(leftOut);
    service.leftOut = leftOut;
    if (now.length === 0 || now.join() === before.join()) return;
    this.#log.warn({ service: service.name, instances: now }, "instances cannot be used");
  }

  #hasBackend({ backend }: Service): boolean {
    return this.#context.target.servers(backend) !== undefined;
  }

  /** Works out the state anew from the facts, and tells of it where its kind has changed. */
  #review(): void {
    if (this.#steady.doubtReason !== this.#doubt) {
      this.#doubt = this.#steady.doubtReason;
      this.#task.onMemory();
    }
    this.#isComplete ||= this.#isEveryServiceThere();
    const before = this.#state;
    this.#state = this.#presentState();
    if (this.#state.kind === before.kind) return;
    const { kind } = this.#state;
    this.#log.info({ state: kind, reason: "reason" in this.#state ? this.#state.reason : "" }, "state");
    this.#task.onState();
  }

  #presentState(): State {
    for (const { follower, backend } of this.#services.values()) {
      if (follower.rejection !== undefined) {
        return { kind: "rejected", reason: `${backend}: ${follower.rejection}` };
      }
    }
    for (const [, reason] of this.#failing) return { kind: "retrying", reason };
    const { reason } = this.#steady;
    if (reason !== undefined) return { kind: "stale", reason };
    return { kind: this.#isComplete ? "synced" : "starting" };
  }

  #isEveryServiceThere(): boolean {
    const services = [...this.#services.values()];
    return (
      this.#hasList && services.every((service) => service.answer !== undefined && service.follower.isSettled)
    );
  }
}

/** The instances that somebody should mend, in words. */
function unusable(leftOut: readonly LeftOut[]): string[] {
  return leftOut
    .filter(({ kind }) => kind === "unusable")
    .map(({ node, id, reason }) => `${node}/${id}: ${reason}`);
}

function isAllIgnored(leftOut: readonly LeftOut[]): boolean {
  return leftOut.length > 0 && leftOut.every(({ kind }) => kind === "ignored");
}

/** The servers that are gone because an instance of another name has taken over their address. */
function replaced(
  servers: ReadonlyMap<string, Address>,
  named: ReadonlyMap<string, Address>,
): ReadonlySet<string> {
  const missing = [...servers].filter(([name]) => !named.has(name));
  if (missing.length === 0) return new Set();
  const taken = new Set([...named.values()].map(endpoint));
  return new Set(missing.filter(([, address]) => taken.has(endpoint(address))).map(([name]) => name));
}

function endpoint({ address, port }: Address): string {
  return `${address} ${port}`;
}
