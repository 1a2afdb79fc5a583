import type { Logger } from "pino";
import type { Commit } from "../commit/commit.ts";
import type { CommitPolicy } from "../commit/policy.ts";
import { stagedConfiguration } from "../commit/staged-configuration.ts";
import { Transactions } from "../commit/transactions.ts";
import { createEtags } from "../config/etag.ts";
import { createResourceReader } from "../config/read-resource.ts";
import type { WriteContext } from "../config/write-context.ts";
import type { Sources } from "../discovery/sources.ts";
import type { Haproxy } from "../haproxy/haproxy.ts";
import type { Clock } from "../lib/clock.ts";
import type { Store } from "../store/store.ts";
import { capabilitiesAnswer } from "./capabilities.ts";
import type { ConfigurationOptions } from "./configuration.ts";
import { createFirstAnswers } from "./first-answers.ts";

/** The parts that the configuration is served from. */
export interface ConfigurationParts {
  readonly commit: Commit;
  readonly haproxy: Haproxy;
  readonly store: Store;
  readonly sources: Pick<Sources, "owns">;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Whether a binary is known that configurations can be checked with. */
  readonly checks: boolean;
  readonly policy: CommitPolicy;
}

/** Builds what `configurationService` needs, and reads the transactions that a former run left open. */
export async function openConfiguration(parts: ConfigurationParts): Promise<ConfigurationOptions> {
  const { commit, haproxy, store, sources, clock, logger, checks, policy } = parts;
  const etags = createEtags(store.etagKey);
  const context = (): WriteContext => ({ etags, version: haproxy.capabilities?.version, etagsCount: true });
  const owns = (backend: string) => sources.owns(backend);
  const transactions = new Transactions({
    subject: stagedConfiguration({ commit, context, owns }),
    ...{ store, clock, logger },
  });
  await transactions.start();
  return {
    ...{ commit, store, transactions, context, owns },
    reader: createResourceReader(etags),
    answers: createFirstAnswers({ store, clock, logger }),
    capabilities: () =>
      capabilitiesAnswer({
        ...{ mode: haproxy.mode, haproxy: haproxy.capabilities, checks, policy },
        ...{ status: commit.status, document: commit.document },
      }),
  };
}
