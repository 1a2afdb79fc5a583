import type {
  ChangeResult,
  NewBackend,
  NewServer,
  ServerChange,
  Target,
  TargetServer,
} from "../../src/discovery/target.ts";
import { DomainError } from "../../src/lib/errors.ts";

/** What discovery sent. */
export type Sent =
  | { readonly kind: "create"; readonly backends: readonly NewBackend[] }
  | { readonly kind: "growth"; readonly backend: string; readonly servers: readonly NewServer[] }
  | { readonly kind: "removal"; readonly names: readonly string[] }
  | {
      readonly kind: "change";
      readonly backend: string;
      readonly changes: readonly ServerChange[];
    };

/** A target in memory. It takes everything at once, except what a test holds back or refuses. */
export class ScriptedTarget implements Target {
  readonly backends = new Map<string, TargetServer[]>();
  /** Everything that was sent, in order. */
  readonly sent: Sent[] = [];
  /** Decides what to refuse; a sentence refuses. */
  refuse: (change: ServerChange | NewBackend) => string | undefined = () => undefined;
  /** Decides which batches are answered by `release` only. */
  holdBack: (changes: readonly ServerChange[]) => boolean = () => false;
  /** Whether removals of backends are made and answered by `release` only. */
  holdRemovals = false;
  /** Whether backends that are created are answered by `release` only. */
  holdCreations = false;
  readonly #held: (() => void)[] = [];
  readonly #listeners = new Set<() => void>();

  servers(backend: string): readonly TargetServer[] | undefined {
    return this.backends.get(backend);
  }

  async createBackends(backends: readonly NewBackend[]): Promise<void> {
    this.sent.push({ kind: "create", backends });
    await Promise.resolve();
    for (const backend of backends) {
      const reason = this.refuse(backend);
      if (reason !== undefined) throw new DomainError("CONFIGURATION_REFUSED", reason);
    }
    for (const { name, servers } of backends) this.backends.set(name, [...servers]);
    if (this.holdCreations) await new Promise<void>((resolve) => this.#held.push(resolve));
  }

  /** Whether servers can be added without a reload. */
  takes = true;

  takesServers(): boolean {
    return this.takes;
  }

  async addServers(backend: string, servers: readonly NewServer[]): Promise<void> {
    this.sent.push({ kind: "growth", backend, servers });
    await Promise.resolve();
    this.backends.set(backend, [...(this.backends.get(backend) ?? []), ...servers]);
  }

  /** Decides which resource of the configuration names a backend. */
  refersTo: (backend: string) => string | undefined = () => undefined;

  referrers(backend: string): readonly string[] {
    const referrer = this.refersTo(backend);
    return referrer === undefined ? [] : [referrer];
  }

  async removeBackends(names: readonly string[]): Promise<readonly ChangeResult[]> {
    this.sent.push({ kind: "removal", names });
    await (this.holdRemovals ? new Promise<void>((resolve) => this.#held.push(resolve)) : undefined);
    return names.map((name) => {
      const referrer = this.refersTo(name);
      if (referrer !== undefined)
        return { ok: false, error: new DomainError("RESOURCE_IN_USE", `${referrer} names it`) };
      this.backends.delete(name);
      return { ok: true };
    });
  }

  async changeServers(backend: string, changes: readonly ServerChange[]): Promise<readonly ChangeResult[]> {
    this.sent.push({ kind: "change", backend, changes });
    const results = changes.map((change): ChangeResult => {
      const reason = this.refuse(change);
      if (reason !== undefined) return { ok: false, error: new DomainError("HAPROXY_REFUSED", reason) };
      this.#apply(backend, change);
      return { ok: true };
    });
    if (this.holdBack(changes)) await new Promise<void>((resolve) => this.#held.push(resolve));
    return results;
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** How many listen to changes by other hands. */
  get subscribers(): number {
    return this.#listeners.size;
  }

  /** Somebody else changed a backend. */
  editByHand(backend: string, servers: TargetServer[]): void {
    this.backends.set(backend, servers);
    for (const listener of this.#listeners) listener();
  }

  /** Answers what was held back. */
  release(): void {
    for (const resolve of this.#held.splice(0)) resolve();
  }

  /** The servers of a backend, as `name address:port weight`. */
  lines(backend: string): string[] {
    return (this.backends.get(backend) ?? [])
      .map(({ name, address, port, weight }) => `${name} ${address}:${port} ${weight}`)
      .sort();
  }

  /** Names of the servers of a backend, in order. */
  names(backend: string): string[] {
    return (this.backends.get(backend) ?? []).map(({ name }) => name).sort();
  }

  #apply(backend: string, change: ServerChange): void {
    const servers = this.backends.get(backend) ?? [];
    const others = servers.filter(({ name }) => name !== change.name);
    const present = servers.find(({ name }) => name === change.name);
    if (change.kind === "add") {
      if (present !== undefined) throw new Error(`${change.name} is there already`);
      const { name, address, port, weight, id } = change;
      this.backends.set(backend, [...servers, { name, address, port, weight, id }]);
      return;
    }
    if (present === undefined) throw new Error(`there is no ${change.name}`);
    if (change.kind === "free" || change.kind === "fill") {
      const { kind, ...set } = change;
      const slot = { ...present, ...set, disabled: kind === "free" };
      this.backends.set(
        backend,
        servers.map((server) => (server === present ? slot : server)),
      );
      return;
    }
    if (change.kind === "remove") this.backends.set(backend, others);
    else this.backends.set(backend, [...others, { ...present, ...change }]);
  }
}
