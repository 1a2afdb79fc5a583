import type { Confirmation, Instance, Registry, RegistryEvent } from "../../src/discovery/registry.ts";
import { DomainError } from "../../src/lib/errors.ts";

/** A registry that says what a test tells it to. */
export class ScriptedRegistry implements Registry {
  /** How many watches are open. */
  watches = 0;
  /** What each watch was told to go on from. */
  readonly resumed: bigint[] = [];
  /** Answers strict reads; by default what was listed last. */
  confirmation: (service: string) => Promise<Confirmation> = async (service) => ({
    instances: this.#instances.get(service) ?? [],
    doubt: undefined,
  });
  readonly confirmed: string[] = [];
  readonly #reports = new Set<(event: RegistryEvent) => void>();
  readonly #instances = new Map<string, readonly Instance[]>();
  #index = 100n;

  async watch(
    report: (event: RegistryEvent) => void,
    resumeIndex: bigint,
    signal: AbortSignal,
  ): Promise<void> {
    this.watches++;
    this.resumed.push(resumeIndex);
    this.#reports.add(report);
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    this.#reports.delete(report);
    this.watches--;
  }

  /** How often all queries were asked to be made again. */
  refreshes = 0;

  refresh(): void {
    this.refreshes++;
  }

  confirm(service: string): Promise<Confirmation> {
    this.confirmed.push(service);
    return this.confirmation(service);
  }

  /** Lists the services, then the instances of each. */
  list(services: Readonly<Record<string, readonly Instance[]>>): void {
    this.report({
      kind: "services",
      services: new Set(Object.keys(services)),
      ignored: new Map(),
      index: ++this.#index,
    });
    for (const name of this.#instances.keys()) if (!(name in services)) this.#instances.delete(name);
    for (const [service, instances] of Object.entries(services)) this.instances(service, instances);
  }

  instances(service: string, instances: readonly Instance[]): void {
    this.#instances.set(service, instances);
    this.report({
      kind: "instances",
      service,
      instances,
      leftOut: [],
      index: ++this.#index,
    });
  }

  fail(service: string | undefined, message = "no answer"): void {
    this.report({
      kind: "failure",
      service,
      error: new DomainError("CONSUL_UNAVAILABLE", message),
    });
  }

  doubt(reason: string, service?: string): void {
    this.report({ kind: "doubt", service, reason });
  }

  report(event: RegistryEvent): void {
    for (const report of [...this.#reports]) report(event);
  }
}

/** An instance `id` of node `n` at 10.0.0.1, by default on port 8000 and the code of its id; its server is named `n-<id>`. */
export function instance(id: string, port = 8_000 + id.charCodeAt(0), weight = 1): Instance {
  return { node: "n", id, address: "10.0.0.1", port, weight };
}
