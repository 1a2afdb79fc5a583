import type { HaproxyVersion } from "./version.ts";

/** HAProxy was asked to start, or its sockets are being tried for the first time. */
export interface Starting {
  readonly kind: "starting";
  readonly since: Date;
}

/** A worker accepts traffic and answers. */
export interface Running {
  readonly kind: "running";
  readonly since: Date;
  readonly version: HaproxyVersion;
  readonly masterPid: number;
  /** The worker that accepts connections. A new value means that runtime state started afresh from the files. */
  readonly workerPid: number;
  /** Reloads since the master started, those that failed included. */
  readonly reloads: number;
  /** Reloads that failed since the last one that did not. */
  readonly failedReloads: number;
  /** Workers of earlier configurations that still finish their connections. */
  readonly oldWorkerPids: readonly number[];
}

/** HAProxy does not run or cannot be reached; it is tried again at `retryAt`. */
export interface Down {
  readonly kind: "down";
  readonly since: Date;
  /** A sentence for the operator, with HAProxy's own words where there are some. */
  readonly reason: string;
  readonly retryAt: Date;
}

/** Not supervised: before `start` and after `stop`. */
export interface Stopped {
  readonly kind: "stopped";
  readonly since: Date;
}

/** What is known about the HAProxy process. */
export type ProcessState = Starting | Running | Down | Stopped;
