/** Whether a service can do its job. */
export type ServingStatus = "SERVING" | "NOT_SERVING";

/** Keeps the serving status of every service; `""` is the process as a whole. */
export interface Health {
  /** Sets a status and tells those who watch it. */
  set(service: string, status: ServingStatus): void;
  /** The status of a service, or `undefined` when none was ever set. */
  get(service: string): ServingStatus | undefined;
  /** Calls `listener` after every change of that service's status; returns the way to stop. */
  subscribe(service: string, listener: (status: ServingStatus) => void): () => void;
}
