import type { DiscoveredService } from "../../gen/haplane/v1/service_discovery_pb.js";
import type { BackendNames } from "./backend-names.ts";
import type { Departures } from "./departures.ts";
import { describeEmptied, describeIgnored, describeService, serviceName } from "./describe-service.ts";
import type { QueryLog } from "./query-log.ts";
import type { Service } from "./service.ts";
import type { Steady } from "./steady.ts";
import type { Target, TargetServer } from "./target.ts";

/** A service as it is now. To describe it costs as much as it has servers, so whoever looks often asks for those only that may have changed. */
export interface ServiceView {
  /** Resource name. */
  readonly name: string;
  /** Another object whenever the service may be another than before. */
  readonly version: object;
  describe(): DiscoveredService;
}

/** What the views of a source are made from. */
export interface ViewedSource {
  readonly name: string;
  readonly target: Target;
  readonly departures: Departures;
  readonly backendNames: BackendNames;
  readonly steady: Steady;
  readonly queries: QueryLog;
}

/** The services of one run of a source. */
export interface ServiceViews {
  /** Those that are followed, those that are ignored with why, and those that are gone and have a backend still (backend → service). */
  of(
    services: Iterable<Service>,
    ignored: ReadonlyMap<string, string>,
    left: ReadonlyMap<string, string>,
  ): ServiceView[];
  /** Somebody may have changed what refers to the backends. */
  recheck(): void;
}

/** Everything that a description shows, by identity. */
type Facts = readonly unknown[];

interface Version {
  readonly facts: Facts;
}

/** No service has been looked at. */
export function createServiceViews({
  name: source,
  target,
  departures,
  backendNames,
  steady,
  queries,
}: ViewedSource): ServiceViews {
  const versions = new WeakMap<Service, Version>();
  let ignoredVersions = new Map<string, Version>();
  let emptiedVersions = new Map<string, Version>();

  function viewOf(service: Service): ServiceView {
    const { name, backend, follower, isListed, answer, leftOut } = service;
    const around = {
      present: target.servers(backend),
      leaving: departures.of(backend),
      kept: steady.kept(name),
      failure: queries.failureOf(name),
    };
    const facts = [
      isListed,
      answer,
      leftOut,
      service.servers,
      follower.rejection,
      follower.isCreating,
      around.present,
      around.failure,
    ];
    const known = versions.get(service);
    // What leaves or is kept changes in place; it does not last.
    const isSame =
      known !== undefined && around.leaving.size + around.kept.size === 0 && isSameFacts(known.facts, facts);
    const version = isSame ? known : { facts: around.leaving.size + around.kept.size === 0 ? facts : [] };
    versions.set(service, version);
    return {
      name: serviceName(source, name),
      version,
      describe: () => describeService(source, service, around),
    };
  }

  function viewOfIgnored(name: string, reason: string, before: ReadonlyMap<string, Version>): ServiceView {
    const version = versionOf(before.get(name), [reason]);
    ignoredVersions.set(name, version);
    return {
      name: serviceName(source, name),
      version,
      describe: () => describeIgnored(source, name, reason),
    };
  }

  function viewOfEmptied(
    name: string,
    backend: string,
    present: readonly TargetServer[],
    before: ReadonlyMap<string, Version>,
  ): ServiceView {
    const version = versionOf(before.get(name), [backend, present]);
    emptiedVersions.set(name, version);
    return {
      name: serviceName(source, name),
      version,
      describe: () => describeEmptied(source, name, backend, target.referrers(backend)),
    };
  }

  return {
    of(services, ignored, left) {
      const [ignoredBefore, emptiedBefore] = [ignoredVersions, emptiedVersions];
      [ignoredVersions, emptiedVersions] = [new Map(), new Map()];
      const views = [
        ...[...services].map(viewOf),
        ...[...ignored].map(([name, reason]) => viewOfIgnored(name, reason, ignoredBefore)),
      ];
      const names = new Set(views.map(({ name }) => name));
      for (const [backend, name] of left) {
        const present = target.servers(backend);
        const isTold = name === "" || names.has(serviceName(source, name));
        // One that is ignored now is told as that; a backend that another service has taken over is told with it.
        if (present === undefined || backendNames.has(backend) || isTold) continue;
        names.add(serviceName(source, name));
        views.push(viewOfEmptied(name, backend, present, emptiedBefore));
      }
      return views;
    },
    recheck() {
      emptiedVersions = new Map();
    },
  };
}

function versionOf(known: Version | undefined, facts: Facts): Version {
  return known !== undefined && isSameFacts(known.facts, facts) ? known : { facts };
}

function isSameFacts(a: Facts, b: Facts): boolean {
  return a.length === b.length && a.every((fact, i) => fact === b[i]);
}
