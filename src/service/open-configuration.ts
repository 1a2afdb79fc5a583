import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Logger } from "pino";
import type { GetCapabilitiesResponseSchema } from "../../gen/haplane/v1/configuration_pb.js";
import type { Commit } from "../commit/commit.ts";
import { Transactions } from "../commit/transactions.ts";
import { createEtags } from "../config/etag.ts";
import { createResourceReader } from "../config/read-resource.ts";
import type { WriteContext } from "../config/write-context.ts";
import type { Sources } from "../discovery/sources.ts";
import type { Haproxy } from "../haproxy/haproxy.ts";
import type { Clock } from "../lib/clock.ts";
import type { Store } from "../store/store.ts";
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
}

/** Builds what `configurationService` needs, and reads the transactions that a former run left open. */
export async function openConfiguration(parts: ConfigurationParts): Promise<ConfigurationOptions> {
  const { commit, haproxy, store, sources, clock, logger, checks } = parts;
  const etags = createEtags(store.etagKey);
  const context = (): WriteContext => ({ etags, version: haproxy.capabilities?.version, etagsCount: true });
  const owns = (backend: string) => sources.owns(backend);
  const transactions = new Transactions({ commit, store, clock, logger, context, owns });
  await transactions.start();
  return {
    ...{ commit, store, transactions, context, owns },
    reader: createResourceReader(etags),
    answers: createFirstAnswers({ store, clock, logger }),
    capabilities: () => capabilitiesOf(haproxy, checks),
  };
}

function capabilitiesOf(
  haproxy: Haproxy,
  checks: boolean,
): MessageInitShape<typeof GetCapabilitiesResponseSchema> {
  const { capabilities, mode } = haproxy;
  const restrictions: string[] = [];
  if (!checks)
    restrictions.push(
      "Configurations cannot be checked before they are used: no HAProxy binary is known (--haproxy).",
    );
  if (capabilities === undefined)
    restrictions.push("HAProxy has not been seen yet, so its version is not known.");
  if (capabilities !== undefined && !capabilities.reloadSurvivesFailedStart)
    restrictions.push(
      "A configuration that HAProxy accepts but cannot start with (a port that is taken, a chroot to nowhere) ends this version of HAProxy; haplane then puts the former one back and starts it again.",
    );
  return {
    haproxyVersion: capabilities?.version.text ?? "",
    managed: mode === "managed",
    ...{ checks, reloads: true, writes: true },
    restrictions,
  };
}
