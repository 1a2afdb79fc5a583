import type { Logger } from "pino";
import { createBackoff } from "../lib/backoff.ts";
import { createConfirmations } from "./confirmations.ts";
import { countLive } from "./count-live.ts";
import type { Memory } from "./memory.ts";
import { createNewBackends, type NewBackends } from "./new-backends.ts";
import { createPasses } from "./passes.ts";
import { createQueryLog, LIST, type QueryLog } from "./query-log.ts";
import type { InstancesListed, LeftOut, QueryFailed, RegistryEvent, ServicesListed } from "./registry.ts";
import { createReview, type Review } from "./review.ts";
import { isAllIgnored, type Service, unusableInstances } from "./service.ts";
import { ServiceSet } from "./service-set.ts";
import { createServiceViews, type ServiceView, type ServiceViews } from "./service-views.ts";
import type { SourceContext, SourceTask } from "./source-task.ts";
import type { Status } from "./status.ts";
import { Steady } from "./steady.ts";

/**
 * One run of a source, from its start to its stop: it hears what the registry says, has `Steady` judge what is lost, and lets a follower for each service bring
 * the backends there. It begins from the memory and the document, so that after a restart, or with new settings, it goes on where the run before ended.
 */
export class RunningSource {
  readonly #context: SourceContext;
  readonly #task: SourceTask;
  readonly #log: Logger;
  readonly #services: ServiceSet;
  readonly #steady: Steady;
  readonly #newBackends: NewBackends;
  readonly #queries: QueryLog;
  readonly #review: Review;
  readonly #views: ServiceViews;
  readonly #passes = createPasses();
  readonly #abort = new AbortController();
  readonly #ended: Promise<void>;
  #listIndex: bigint;
  #ignored: ReadonlyMap<string, string> = new Map();

  /** Starts at once. */
  constructor(task: SourceTask, context: SourceContext) {
    const { clock, target, departures, backendNames, logger } = context;
    const { registry, memory, making, name: author } = task;
    const { signal } = this.#abort;
    this.#context = context;
    this.#task = task;
    this.#log = logger.child({ source: author });
    this.#listIndex = memory.index;
    this.#queries = createQueryLog(memory.index, clock, this.#log);
    this.#steady = new Steady(task.losses);
    this.#newBackends = createNewBackends(target, clock, author);
    const confirmations = createConfirmations({
      steady: this.#steady,
      registry,
      clock,
      backoff: createBackoff(task.retry),
      signal,
      onJudged: (service) => this.#judged(service),
      onFailure: (error) => this.#queries.note(error),
    });
    this.#services = new ServiceSet({
      context,
      task,
      followerContext: {
        target,
        departures,
        newBackends: this.#newBackends,
        clock,
        author,
        signal,
        defaults: making.defaults,
        slots: making.slots,
        drainMs: making.drainMs,
        onApplied: task.onApplied,
      },
      steady: this.#steady,
      onObserved: () => confirmations.arm(),
      onChange: () => this.#review.soon(),
    });
    this.#review = createReview({
      context,
      task,
      logger: this.#log,
      services: this.#services,
      steady: this.#steady,
      queries: this.#queries,
    });
    this.#views = createServiceViews({
      ...{ name: author, target, departures, backendNames },
      ...{ steady: this.#steady, queries: this.#queries },
    });
    const unsubscribe = target.subscribe(() => {
      this.#services.recheck();
      this.#views.recheck();
      task.onServices();
    });
    signal.addEventListener("abort", unsubscribe, { once: true });
    this.#ended = registry.watch((event) => this.#hear(event), memory.index, signal);
  }

  /** Nothing is sent any more when it returns; resolves when every connection is closed. */
  async stop(): Promise<void> {
    this.#abort.abort();
    this.#newBackends.stop();
    this.#services.stop();
    this.#passes.end();
    this.#review.stop();
    await this.#ended;
  }

  /** Resolves when no backend is being created any more. */
  created(): Promise<void> {
    return this.#newBackends.idle();
  }

  /** Asks the registry for everything once more; resolves when what follows from the answers is done or refused. `acceptLoss`: believes what the answers say. */
  async sync(acceptLoss: boolean): Promise<void> {
    const passed = this.#passes.begin(this.#services.all.keys());
    this.#task.registry.refresh();
    const answered = await passed;
    if (this.#abort.signal.aborted) return;
    if (acceptLoss) for (const name of answered) this.#acceptLoss(name);
    this.#review.now();
    await this.#review.settled();
  }

  /** The services that have a backend, be it that they are gone, and those that are ignored, in no order. */
  get services(): ServiceView[] {
    return this.#views.of(this.#services.all.values(), this.#ignored, this.#services.left);
  }

  /** Whether this is the backend of a service that is followed, or was. */
  hasMade(backend: string): boolean {
    return this.#services.hasMade(backend);
  }

  /** What the next run has to know. */
  get memory(): Memory {
    const { doubt } = this.#review;
    const backends = new Map<string, string>();
    for (const { name, backend } of this.#services.all.values()) backends.set(name, backend);
    return { index: this.#listIndex, doubt, backends, left: this.#services.left };
  }

  get status(): Status {
    const { target, departures } = this.#context;
    const { index, lastSuccessMs, lastError } = this.#queries;
    return {
      ...{ state: this.#review.state, index, lastSuccessMs, lastError },
      ...countLive(this.#services.all.values(), target, departures),
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
    this.#review.soon();
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
        this.#heardFailure(event);
        break;
      case "doubt":
        this.#log.warn({ reason: event.reason, service: event.service }, "the registry is in doubt");
        this.#steady.doubt(event.reason, event.service);
        break;
    }
  }

  #heardServices({ services, ignored, index }: ServicesListed): void {
    this.#queries.succeeded(LIST, index);
    this.#ignored = ignored;
    const isNews = index !== this.#listIndex;
    this.#listIndex = index;
    const { found, absent } = this.#services.list(services);
    for (const name of found) this.#passes.found(name);
    for (const service of absent) {
      this.#queries.forget(service.name);
      this.#services.miss(service);
      this.#passes.gone(service.name);
    }
    this.#passes.answered(undefined, true);
    if (isNews) this.#task.onMemory();
  }

  #heardInstances({ service: name, instances, leftOut, index }: InstancesListed): void {
    const service = this.#services.all.get(name);
    if (service === undefined) return;
    this.#queries.succeeded(name, index);
    this.#noteLeftOut(service, leftOut);
    const isInDoubt = this.#steady.doubtReason !== "";
    // All of it is somebody else's: no backend is made for that.
    if (instances.length === 0 && isAllIgnored(leftOut) && !this.#services.hasBackend(service))
      service.answer = [];
    else if (service.answer !== instances || isInDoubt) this.#services.observe(service, instances);
    this.#passes.answered(name, true);
  }

  #heardFailure({ service, error }: QueryFailed): void {
    this.#queries.failed(service ?? LIST, error.message);
    this.#passes.answered(service, false);
    this.#steady.shake();
    this.#queries.note(error);
  }

  #judged(name: string): void {
    const service = this.#services.all.get(name);
    if (service === undefined) return;
    this.#log.info({ service: name }, "a loss was confirmed by a strict read");
    this.#services.judged(service);
    this.#review.now();
  }

  #acceptLoss(name: string): void {
    const service = this.#services.all.get(name);
    if (service === undefined || this.#steady.kept(name).size === 0) return;
    this.#log.warn({ service: name }, "a loss is believed because somebody said so");
    this.#steady.accept(name);
    this.#services.judged(service);
  }

  #noteLeftOut(service: Service, leftOut: readonly LeftOut[]): void {
    const before = unusableInstances(service.leftOut);
    const now = unusableInstances(leftOut);
    service.leftOut = leftOut;
    if (now.length === 0 || now.join() === before.join()) return;
    this.#log.warn({ service: service.name, instances: now }, "instances cannot be used");
  }
}
