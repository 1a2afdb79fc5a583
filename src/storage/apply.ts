import type { Logger } from "pino";
import { DomainError } from "../lib/errors.ts";
import { applyCrtList } from "./apply-crt-list.ts";
import { applyPatterns } from "./apply-patterns.ts";
import { applyCertificate, applyTrust } from "./apply-tls.ts";
import type { Directories } from "./directories.ts";
import { FILE_KINDS, type FileKind } from "./kinds.ts";
import type { LiveFiles, Referrer, ReloadFiles } from "./live.ts";
import type { LiveOutcome } from "./live-outcome.ts";
import type { FileFacts } from "./managed-directory.ts";
import type { ReferrersOf } from "./referrers.ts";
import type { Content as StagedContent, StagedFile } from "./staged-file.ts";
import type { ApplyMode, FileApplied } from "./stored-file.ts";

/** What bringing HAProxy to a file needs. */
export interface ApplyOptions {
  readonly directories: Directories;
  readonly live: LiveFiles;
  readonly referrersOf: ReferrersOf;
  readonly reload: ReloadFiles;
  /** By path, the etag of the content that HAProxy was last brought to. */
  readonly followed: Map<string, string>;
  readonly logger: Logger;
}

/** A checked file that is to take a name's place. */
export interface Replacement {
  readonly kind: FileKind;
  readonly name: string;
  readonly mode: ApplyMode;
  readonly staged: StagedFile;
  readonly content: StagedContent;
  /** What the name stands for now. */
  readonly former: FileFacts | undefined;
}

/** How HAProxy came to a file, without the time it took. */
type Brought = Omit<FileApplied, "tookMs">;

/** Puts files in place and brings HAProxy to them. */
export interface Apply {
  /** Replaces a file; when HAProxy cannot be brought to it, both are as before. */
  replace(replacement: Replacement): Promise<{ readonly facts: FileFacts; readonly applied: Brought }>;
  /** Has HAProxy forget a removed file, where it can. */
  forget(kind: FileKind, name: string): Promise<void>;
  /** Brings HAProxy to what a former process installed and did not see through. */
  recover(): Promise<void>;
}

/** A reload in the middle is no failure: the new worker has read the file, and is compared with it. */
const MAX_ATTEMPTS = 3;

/** Makes the one way by which files change. */
export function createApply({
  directories,
  live,
  referrersOf,
  reload,
  followed,
  logger,
}: ApplyOptions): Apply {
  const bring = async (kind: FileKind, name: string, mode: ApplyMode, former: string): Promise<Brought> => {
    const referrers = (await referrersOf())(kind, name);
    if (mode === "force-reload") return reloaded("it was asked for");
    const outcome = await tryLive(kind, name, referrers, former);
    const reason = needsReload(outcome, referrers);
    if (reason !== undefined) {
      if (mode === "auto") return reloaded(reason);
      return nothing(reason, "the file is in place, and HAProxy has it from its next reload");
    }
    if (outcome.kind !== "done") return nothing("nothing names the file");
    if (outcome.commands.length === 0) return nothing("HAProxy has this content already");
    return { via: "runtime", reasons: [], commands: outcome.commands, reload: undefined };
  };

  const reloaded = async (reason: string): Promise<Brought> => ({
    ...{ via: "reload", reasons: [reason], commands: [] },
    reload: await reload(reason),
  });

  const tryLive = async (
    kind: FileKind,
    name: string,
    referrers: readonly Referrer[],
    former: string,
  ): Promise<LiveOutcome> => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await applyKind(kind, name, referrers, former);
      } catch (error) {
        if (!(error instanceof DomainError) || error.reason !== "HAPROXY_UNAVAILABLE") throw error;
        if (referrers.length === 0) return { kind: "unloaded" };
        if (error.metadata.outcome !== "unknown" || attempt === MAX_ATTEMPTS) throw error;
      }
    }
  };

  const applyKind = async (
    kind: FileKind,
    name: string,
    referrers: readonly Referrer[],
    former: string,
  ): Promise<LiveOutcome> => {
    const directory = directories[kind];
    switch (kind) {
      case "certificates":
        return applyCertificate({ directory, live }, name);
      case "ca":
        return applyTrust({ directory, live }, "ca-file", name);
      case "crl":
        return applyTrust({ directory, live }, "crl-file", name);
      case "crt-lists":
        return applyCrtList({ directory, certificates: directories.certificates, live, former }, name);
      case "maps":
      case "acls":
        return applyPatterns({ directory, live, referrers }, name);
      case "general":
        if (referrers.length === 0) return { kind: "unloaded" };
        return { kind: "impossible", reason: "HAProxy reads files of this kind only when it starts" };
    }
  };

  /** What the file held, where the difference is needed to follow it. */
  const formerText = async (kind: FileKind, name: string): Promise<string> =>
    kind === "crt-lists" ? ((await directories[kind].read(name))?.toString("latin1") ?? "") : "";

  /** Some of the commands may have been carried out before one failed. */
  const restore = async (kind: FileKind, name: string): Promise<void> => {
    await bring(kind, name, "no-reload", "").catch((error: unknown) => {
      logger.warn({ err: error, kind, name }, "HAProxy may have a part of a file that was taken back");
    });
  };

  return {
    async replace({ kind, name, mode, staged, content, former }) {
      const directory = directories[kind];
      const before = await formerText(kind, name);
      if (former !== undefined && former.sha256 === content.sha256)
        return { facts: former, applied: await bring(kind, name, mode, before) };
      const installed = await directory.install(name, staged, content, former);
      let applied: Brought;
      try {
        applied = await bring(kind, name, mode, before);
      } catch (error) {
        await installed.undo();
        if (former !== undefined) await restore(kind, name);
        throw error;
      }
      await installed.keep();
      if (applied.via !== "none") followed.set(installed.facts.path, installed.facts.etag);
      return { facts: installed.facts, applied };
    },

    async forget(kind, name) {
      const path = directories[kind].pathOf(name);
      if (kind !== "certificates" || !(await live.sslFiles.names("cert")).includes(path)) return;
      await live.sslFiles.remove(path);
    },

    async recover() {
      for (const kind of FILE_KINDS) {
        for (const { name, keep } of await directories[kind].interrupted()) {
          await directories[kind].exclusively(name, async () => {
            const before = await formerText(kind, name);
            await bring(kind, name, "auto", before).then(
              (applied) =>
                logger.info({ kind, name, via: applied.via }, "an interrupted replacement was completed"),
              (error: unknown) => logger.error({ err: error, kind, name }, "HAProxy does not follow a file"),
            );
            await keep();
          });
        }
      }
    },
  };
}

function needsReload(outcome: LiveOutcome, referrers: readonly Referrer[]): string | undefined {
  if (outcome.kind === "impossible") return outcome.reason;
  if (outcome.kind === "done" || referrers.length === 0) return undefined;
  return "HAProxy has not loaded the file, though the configuration names it";
}

function nothing(...reasons: readonly string[]): Brought {
  return { via: "none", reasons, commands: [], reload: undefined };
}
