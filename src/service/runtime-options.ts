import type { Logger } from "pino";
import type { Commit } from "../commit/commit.ts";
import type { Haproxy } from "../haproxy/haproxy.ts";
import type { StatsFeed } from "../haproxy/stats-feed.ts";
import type { Clock } from "../lib/clock.ts";
import type { Reloads } from "../store/store.ts";
import type { WriteTools } from "./configuration-writes.ts";
import type { FirstAnswers } from "./first-answers.ts";
import type { LookAtServers } from "./server-looks.ts";

/** What the service is built from. */
export interface RuntimeOptions {
  readonly haproxy: Haproxy;
  readonly commit: Commit;
  readonly reloads: Reloads;
  /** What changes that are to be persisted are written with. */
  readonly configuration: WriteTools & { readonly answers: FirstAnswers };
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What its methods share. */
export interface RuntimeTools extends RuntimeOptions {
  readonly feed: StatsFeed;
  readonly lookAtServers: LookAtServers;
}
