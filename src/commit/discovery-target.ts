import { backendReferrers } from "../config/remove-backend.ts";
import { backendSection } from "../config/server.ts";
import { addBackend } from "../config/server-edits.ts";
import type {
  ChangeResult,
  NewBackend,
  NewServer,
  ServerChange,
  Target,
  TargetServer,
} from "../discovery/target.ts";
import type { Haproxy } from "../haproxy/haproxy.ts";
import { DomainError } from "../lib/errors.ts";
import type { Document } from "../text/document.ts";
import { asDomainError } from "./as-domain-error.ts";
import { backendEdit, backendRemoval, serversEdit } from "./backend-edits.ts";
import { takesServers } from "./classify.ts";
import type { CountChange } from "./count-changes.ts";
import type { ReloadLane } from "./reload-lane.ts";
import type { RuntimeLane } from "./runtime-lane.ts";
import { targetServers } from "./target-servers.ts";
import type { WorkingDocument } from "./working-document.ts";

/** What it is given. */
export interface DiscoveryTargetOptions {
  readonly haproxy: Pick<Haproxy, "capabilities">;
  readonly working: WorkingDocument;
  readonly reloads: ReloadLane;
  readonly runtime: RuntimeLane;
  readonly count: CountChange;
}

/** The configuration as discovery sees it: servers by the runtime lane, whole backends by the reload lane. */
export class DiscoveryTarget implements Target {
  readonly #options: DiscoveryTargetOptions;
  readonly #listeners = new Set<() => void>();

  constructor(options: DiscoveryTargetOptions) {
    this.#options = options;
  }

  /** Says that servers or backends may have changed. */
  notify(): void {
    for (const listener of this.#listeners) listener();
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  servers(backend: string): readonly TargetServer[] | undefined {
    return targetServers(this.#document, backend);
  }

  referrers(backend: string): readonly string[] {
    return backendReferrers(this.#document, backend);
  }

  takesServers(backend: string, options: readonly string[], defaults: string): boolean {
    const version = this.#options.haproxy.capabilities?.version;
    if (version === undefined) return true;
    try {
      const present = backendSection(this.#document, backend);
      const document =
        present === undefined ? addBackend(this.#document, backend, [], defaults) : this.#document;
      const section = present ?? backendSection(document, backend);
      return section === undefined || takesServers(document, section, options, version);
    } catch (error) {
      // It cannot be made; whoever makes it is told why.
      if (error instanceof DomainError) return true;
      throw error;
    }
  }

  async createBackends(backends: readonly NewBackend[], author: string): Promise<void> {
    const edits = backends.map((backend) => backendEdit(backend, author));
    const outcomes = await Promise.allSettled(
      edits.map((edit) => this.#options.reloads.submit(edit, edit.message.replace("adds", "new"))),
    );
    this.notify();
    const refused = outcomes.filter(({ status }) => status === "rejected");
    if (refused.length === outcomes.length && refused[0] !== undefined)
      throw (refused[0] as PromiseRejectedResult).reason;
  }

  async addServers(backend: string, servers: readonly NewServer[], author: string): Promise<void> {
    const edit = serversEdit(backend, servers, author);
    await this.#options.reloads.submit(edit, edit.message.replace("adds", "new"));
    this.notify();
  }

  async removeBackends(names: readonly string[], author: string): Promise<readonly ChangeResult[]> {
    const edits = names.map((name) => backendRemoval(this.#document, name, author));
    const outcomes = await Promise.allSettled(
      edits.map((edit) => this.#options.reloads.submit(edit, edit.message.replace("removes", "gone"))),
    );
    this.notify();
    return outcomes.map((outcome) =>
      outcome.status === "fulfilled" ? { ok: true } : { ok: false, error: asDomainError(outcome.reason) },
    );
  }

  changeServers(
    backend: string,
    changes: readonly ServerChange[],
    author: string,
    signal?: AbortSignal,
  ): Promise<readonly ChangeResult[]> {
    const { count, runtime } = this.#options;
    return count(
      () => runtime.changeServers(backend, changes, author, signal),
      () => "discovery",
    );
  }

  get #document(): Document {
    return this.#options.working.current;
  }
}
