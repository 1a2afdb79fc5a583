import type { DomainError } from "../lib/errors.ts";

/**
 * A registry of services, watched. Consul is one; whatever can list services and their instances can be another. An adaptor reports what it is told and
 * what makes it doubt it; it decides nothing about servers.
 */
export interface Registry {
  /**
   * Watches until `signal` aborts, without end on errors, and then resolves when every connection and timer is gone. Never rejects. No report comes after the abort.
   * `resumeIndex` is the index of the last list of services that was believed before a restart, or 0n.
   */
  watch(report: (event: RegistryEvent) => void, resumeIndex: bigint, signal: AbortSignal): Promise<void>;
  /** Makes every query of the present watch again at once, so that each is answered, or fails, once more soon. */
  refresh(): void;
  /** Asks once more for one service, as strictly as the registry can. Rejects with a `DomainError` when there is no good answer. */
  confirm(service: string, signal: AbortSignal): Promise<Confirmation>;
}

/** Something that a registry said, or failed to say. */
export type RegistryEvent = ServicesListed | InstancesListed | QueryFailed | AnswerDoubted;

/** A good answer: the names of all services that are to be followed, whether or not they have healthy instances. */
export interface ServicesListed {
  readonly kind: "services";
  readonly services: ReadonlySet<string>;
  /** The services that are not, each with why, for people to read. */
  readonly ignored: ReadonlyMap<string, string>;
  readonly index: bigint;
}

/** A good answer: all instances of one service that are fit for traffic. `instances` is the same array as before when nothing changed. */
export interface InstancesListed {
  readonly kind: "instances";
  readonly service: string;
  readonly instances: readonly Instance[];
  readonly leftOut: readonly LeftOut[];
  readonly index: bigint;
}

/** An instance that gets no traffic, and why, for people to read. */
export interface LeftOut {
  /** Not asked for; not healthy; or healthy and yet of no use. */
  readonly kind: "ignored" | "unhealthy" | "unusable";
  readonly node: string;
  readonly id: string;
  /** A clause about "it". */
  readonly reason: string;
}

/** A query got no good answer and will be made again. What it said before is still the best that is known. */
export interface QueryFailed {
  readonly kind: "failure";
  /** The service that was asked for; undefined when it was the list of services. */
  readonly service: string | undefined;
  readonly error: DomainError;
}

/** The answers that follow may come from a registry that lost its data: what is missing in them may not be gone. */
export interface AnswerDoubted {
  readonly kind: "doubt";
  /** The service it concerns; undefined when it is all of them. */
  readonly service: string | undefined;
  /** A clause that goes on from "the registry's answers are not believed:". */
  readonly reason: string;
}

/** One instance of a service, as HAProxy needs to know it. `node` and `id` together say which one it is. */
export interface Instance {
  readonly node: string;
  readonly id: string;
  /** An IPv4 or IPv6 address, in its canonical form, that can be connected to. */
  readonly address: string;
  /** 1 to 65535. */
  readonly port: number;
  /** 0 to 256. */
  readonly weight: number;
}

/** What a strict read said. */
export interface Confirmation {
  readonly instances: readonly Instance[];
  /** Why even this answer is not believed, as in `AnswerDoubted`; undefined when it is. */
  readonly doubt: string | undefined;
}
