import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Logger } from "pino";
import { DomainError } from "../lib/errors.ts";
import type { Directories } from "./directories.ts";
import { changedMeanwhile } from "./expected.ts";
import { createFollow } from "./follow.ts";
import { forgetFile } from "./forget-file.ts";
import { FILE_KINDS, type FileKind, fileName } from "./kinds.ts";
import type { FileFacts } from "./known-files.ts";
import type { LiveFiles, Referrer, ReloadFiles, ReplaceByReload } from "./live.ts";
import type { LiveOutcome } from "./live-outcome.ts";
import type { ReferrersOf } from "./referrers.ts";
import type { ContentFacts, StagedFile } from "./staged-file.ts";
import type { ApplyMode, FileApplied } from "./stored-file.ts";

/** What bringing HAProxy to a file needs. */
export interface ApplyOptions {
  readonly directories: Directories;
  readonly live: LiveFiles;
  readonly referrersOf: ReferrersOf;
  readonly reload: ReloadFiles;
  readonly replaceByReload: ReplaceByReload;
  /** By path, the etag of the content that HAProxy was last brought to. */
  readonly followed: Map<string, string>;
  readonly logger: Logger;
}

/** A checked file that is to take a name's place. */
export interface Replacement {
  readonly kind: FileKind;
  readonly name: string;
  readonly mode: ApplyMode;
  readonly author: string;
  readonly staged: StagedFile;
  readonly content: ContentFacts;
  /** What the name stands for now. */
  readonly former: FileFacts | undefined;
}

/** A file that is to go. */
export interface Removal {
  readonly kind: FileKind;
  readonly facts: FileFacts;
  readonly mode: ApplyMode;
  readonly author: string;
}

/** How HAProxy came to a file, without the time it took. */
type Brought = Omit<FileApplied, "tookMs">;

/** Puts files in place and brings HAProxy to them. */
export interface Apply {
  /** Replaces a file; when HAProxy cannot be brought to it, both are as before. */
  replace(replacement: Replacement): Promise<{ readonly facts: FileFacts; readonly applied: Brought }>;
  /** Removes a file, and has HAProxy forget it: by commands where it can. By a forced reload both happen as one, or neither. */
  remove(removal: Removal): Promise<Brought>;
  /** Brings HAProxy to what a former process installed and did not see through. */
  recover(): Promise<void>;
}

/** A file that takes a reload is kept with what it held before until HAProxy has read it, so it is in memory for a while. */
const MAX_RELOADED_BYTES = 64 * 1024 * 1024;

/** Makes the one way by which files change. */
export function createApply(options: ApplyOptions): Apply {
  const { directories, live, referrersOf, reload, replaceByReload, followed, logger } = options;
  const follow = createFollow(options);

  /** Brings HAProxy to the file that is in place; it stays there. */
  const bring = async (kind: FileKind, name: string, mode: ApplyMode, former: string): Promise<Brought> => {
    const referrers = (await referrersOf())(kind, name);
    if (mode === "force-reload") return reloaded("it was asked for", await reload("it was asked for"));
    const outcome = await follow(kind, name, referrers, former);
    const reason = needsReload(outcome, referrers);
    if (reason === undefined) return followedBy(outcome);
    if (mode === "no-reload") return notYet(reason);
    return reloaded(reason, await reload(reason));
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

  /** What the commit is told of a file beside its content. */
  const planned = (kind: FileKind, name: string, former: FileFacts | undefined, author: string) => {
    const { attributes, path: directory } = directories[kind];
    const { mode, uid = -1, gid = -1 } = attributes;
    const path = join(directory, name);
    const resource = fileName(kind, name);
    const guard = (found: Uint8Array | undefined) => {
      if (found === undefined ? former !== undefined : sha256Of(found) !== former?.sha256)
        throw changedMeanwhile(path, resource);
    };
    return { path, mode, owner: { uid, gid }, guard, resource, author };
  };

  /** Replaces the file and reloads, as one. */
  const replaceAndReload = async (replacement: Replacement, reason: string): Promise<Brought> => {
    const { kind, name, author, staged, content, former } = replacement;
    const directory = directories[kind];
    if (content.size > MAX_RELOADED_BYTES) throw tooLargeForReload(reason);
    if (former !== undefined) await directory.setAttributes(name);
    const number = await replaceByReload({
      ...planned(kind, name, former, author),
      content: await staged.read(),
    });
    return reloaded(reason, number);
  };

  const replaceBy = async (replacement: Replacement): Promise<Brought> => {
    const { kind, name, mode, staged, content, former } = replacement;
    if (mode === "force-reload") return replaceAndReload(replacement, "it was asked for");
    const before = await formerText(kind, name);
    const referrers = (await referrersOf())(kind, name);
    const installed = await directories[kind].install(name, staged, content, former);
    let takenBack = false;
    try {
      const outcome = await follow(kind, name, referrers, before);
      const reason = needsReload(outcome, referrers);
      if (reason === undefined || mode === "no-reload") {
        await installed.keep();
        return reason === undefined ? followedBy(outcome) : notYet(reason);
      }
      takenBack = true;
      await installed.undo();
      return await replaceAndReload(replacement, reason);
    } catch (error) {
      if (!takenBack) await installed.undo();
      if (former !== undefined) await restore(kind, name);
      throw error;
    }
  };

  return {
    async replace(replacement) {
      const { kind, name, mode, content, former } = replacement;
      if (former !== undefined && former.sha256 === content.sha256)
        return { facts: former, applied: await bring(kind, name, mode, await formerText(kind, name)) };
      const applied = await replaceBy(replacement);
      const facts = await directories[kind].facts(name);
      if (facts?.sha256 !== content.sha256)
        throw changedMeanwhile(directories[kind].pathOf(name), fileName(kind, name));
      if (applied.via !== "none") followed.set(facts.path, facts.etag);
      return { facts, applied };
    },

    async remove({ kind, facts, mode, author }) {
      const { name } = facts;
      if (mode === "force-reload") {
        const file = planned(kind, name, facts, author);
        return reloaded("it was asked for", await replaceByReload({ ...file, content: undefined }));
      }
      await directories[kind].remove(name, { etag: facts.etag });
      const outcome = await forgetFile({ directory: directories[kind], live }, kind, name).catch(
        (error: unknown): LiveOutcome => {
          logger.info({ err: error, kind, name }, "it is not known whether HAProxy has a removed file");
          return { kind: "impossible", reason: "HAProxy does not answer" };
        },
      );
      if (outcome.kind === "impossible")
        return nothing(outcome.reason, "HAProxy keeps what it has of the file until its next reload");
      return outcome.kind === "unloaded" ? nothing("HAProxy has not loaded it") : followedBy(outcome);
    },

    async recover() {
      for (const kind of FILE_KINDS) {
        for (const { name, keep, undo } of await directories[kind].interrupted()) {
          await directories[kind].exclusively(name, async () => {
            const before = await formerText(kind, name);
            try {
              const { via } = await bring(kind, name, "auto", before);
              logger.info({ kind, name, via }, "an interrupted replacement was completed");
              await keep();
            } catch (error) {
              const isRefused = error instanceof DomainError && error.reason === "CONFIGURATION_REFUSED";
              logger.error({ err: error, kind, name, isRefused }, "HAProxy does not follow a file");
              if (!isRefused) return keep();
              await undo();
              await restore(kind, name);
            }
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

function followedBy(outcome: LiveOutcome): Brought {
  if (outcome.kind !== "done") return nothing("nothing names the file");
  if (outcome.commands.length === 0) return nothing("HAProxy has this content already");
  return { via: "runtime", reasons: [], commands: outcome.commands, reload: undefined };
}

function notYet(reason: string): Brought {
  return nothing(reason, "the file is in place, and HAProxy has it from its next reload");
}

function reloaded(reason: string, number: number | undefined): Brought {
  return { via: "reload", reasons: [reason], commands: [], reload: number };
}

function nothing(...reasons: readonly string[]): Brought {
  return { via: "none", reasons, commands: [], reload: undefined };
}

function sha256Of(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function tooLargeForReload(reason: string): DomainError {
  return new DomainError(
    "LIMIT_EXCEEDED",
    `a file that takes a reload (${reason}) has at most ${MAX_RELOADED_BYTES} bytes; store it without a reload, and reload then`,
    { metadata: { limit: `${MAX_RELOADED_BYTES} bytes` } },
  );
}
