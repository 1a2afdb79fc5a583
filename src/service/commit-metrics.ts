import { fromBinary } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { Counter, Histogram, type Registry } from "prom-client";
import { EventKind, EventSchema, ReloadState } from "../../gen/haplane/v1/events_pb.js";
import type { CommitEnd } from "../commit/count-changes.ts";
import type { LogEntry } from "../events/event-log.ts";

/** Counts what becomes of changes and reloads. */
export interface CommitMetrics {
  /** To be told of every change that was tried. */
  ended(end: CommitEnd): void;
  /** To be told of what becomes durable. */
  logged(entries: readonly LogEntry[]): void;
}

/** Buckets for how long HAProxy takes to run a change. */
export const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Registers them. Names and labels are documented in docs/metrics.md. */
export function createCommitMetrics(registry: Registry): CommitMetrics {
  const registers = [registry];
  const commits = new Counter({
    name: "haplane_commits_total",
    help: "Changes of the configuration, by lane (runtime, reload, discovery; none: nothing to do, or refused before it was known) and outcome (ok, or the reason of the error).",
    labelNames: ["lane", "outcome"],
    registers,
  });
  const duration = new Histogram({
    name: "haplane_commit_duration_seconds",
    help: "Time from a change to the moment at which HAProxy ran it, by lane; those that went well.",
    labelNames: ["lane"],
    buckets: SECONDS,
    registers,
  });
  const reloads = new Counter({
    name: "haplane_reloads_total",
    help: "Reloads that haplane has asked HAProxy for, by outcome (succeeded, failed, lost).",
    labelNames: ["outcome"],
    registers,
  });
  const reloadDuration = new Histogram({
    name: "haplane_reload_duration_seconds",
    help: "How long these reloads took, from the command until the new worker served or HAProxy refused.",
    buckets: SECONDS,
    registers,
  });
  return {
    ended({ lane, outcome, tookMs }) {
      commits.inc({ lane, outcome });
      if (outcome === "ok") duration.observe({ lane }, tookMs / 1_000);
    },
    logged(entries) {
      for (const { kind, bytes } of entries.flatMap(({ events }) => events)) {
        if (kind !== EventKind.RELOAD) continue;
        const { payload } = fromBinary(EventSchema, bytes);
        if (payload.case !== "reload" || payload.value.state === ReloadState.RUNNING) continue;
        reloads.inc({ outcome: ReloadState[payload.value.state].toLowerCase() });
        if (payload.value.took !== undefined) reloadDuration.observe(durationMs(payload.value.took) / 1_000);
      }
    },
  };
}
