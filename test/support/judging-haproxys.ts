import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { parseBranch, type Version } from "../../src/grammar/version.ts";
import { tools } from "./programs.ts";

/** A HAProxy that judges what the grammar writes. */
export interface JudgingHaproxy {
  /** For reports: "HAProxy 3.0". */
  readonly name: string;
  readonly binary: string;
  readonly version: Version;
  /** What it was built with and without, as it says: `+QUIC`, `-ZLIB`. */
  readonly features: ReadonlySet<string>;
}

/** The HAProxy on the path, then those of other releases that set-up has unpacked (in CI, where Debian's packages can be had). */
export const judgingHaproxys: readonly JudgingHaproxy[] = ["haproxy", ...unpacked()].map(identify);

function unpacked(): string[] {
  if (!existsSync(tools)) return [];
  return readdirSync(tools)
    .map((name) => join(tools, name, "haproxy"))
    .filter((file) => /haproxy-[a-z]+.haproxy$/.test(file) && existsSync(file));
}

function identify(binary: string): JudgingHaproxy {
  const text = execFileSync(binary, ["-vv"], { encoding: "utf8" });
  const branch = /version (\d+\.\d+)/.exec(text)?.[1] ?? "";
  const version = parseBranch(branch);
  if (version === undefined) throw new Error(`${binary} -vv names no version`);
  const features = /^Feature list : (.*)$/m.exec(text)?.[1] ?? "";
  return { name: `HAProxy ${branch}`, binary, version, features: new Set(features.split(" ")) };
}
