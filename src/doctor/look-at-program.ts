import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { checkConfiguration } from "../haproxy/check.ts";
import { type HaproxyVersion, isAtLeast, parseVersion } from "../haproxy/version.ts";
import { type Finding, ok, problem, warning } from "./finding.ts";

const TIMEOUT_MS = 10_000;

/** The oldest branch that haplane works with. */
const OLDEST = [2, 6] as const;

/** HAProxy's binary: whether it runs, and which it is. */
export async function lookAtBinary(
  binary: string | undefined,
): Promise<{ findings: Finding[]; version: HaproxyVersion | undefined }> {
  if (binary === undefined) {
    const finding = problem(
      "there is no haproxy",
      "install HAProxy 2.6 or newer, or say where it is with --haproxy FILE",
    );
    return { findings: [finding], version: undefined };
  }
  try {
    const { stdout } = await promisify(execFile)(binary, ["-v"], { timeout: TIMEOUT_MS });
    const version = parseVersion(/version (\S+)/i.exec(stdout)?.[1] ?? "");
    if (version === undefined)
      return {
        findings: [
          problem(`${binary} does not say its version`, "name HAProxy's binary with --haproxy FILE"),
        ],
        version,
      };
    const what = `${binary} is HAProxy ${version.text}`;
    const finding = isAtLeast(version, ...OLDEST)
      ? ok(what)
      : problem(what, `haplane needs HAProxy ${OLDEST.join(".")} or newer`);
    return { findings: [finding], version };
  } catch (error) {
    const why = (error as Error).message.split("\n")[0];
    return {
      findings: [problem(`${binary} cannot be run: ${why}`, "mend it, or name another with --haproxy FILE")],
      version: undefined,
    };
  }
}

/** What HAProxy says of the configuration. */
export async function lookAtConfiguration(binary: string, files: readonly string[]): Promise<Finding[]> {
  const program = { binary, environment: undefined, directory: undefined };
  const { ok: accepted, messages, failure } = await checkConfiguration(program, files);
  const said = messages
    .filter(({ level }) => level === "alert" || level === "warning")
    .map(({ level, file, line, message }) => {
      const [first] = message.split("\n");
      return level === "alert"
        ? problem(`HAProxy refuses ${placeOf(file, line)}: ${first}`, "mend it; nothing is reloaded before")
        : warning(
            `HAProxy says of ${placeOf(file, line)}: ${first}`,
            "HAProxy runs with it; mend it when you can",
          );
    });
  if (accepted)
    return [
      ok(`HAProxy accepts ${files.join(", ")}`),
      ...said.filter(({ verdict }) => verdict === "warning"),
    ];
  const refused =
    failure === undefined
      ? []
      : [problem(`HAProxy refuses the configuration: ${failure}`, "run haproxy -c -f FILE by hand")];
  return [...said, ...refused];
}

function placeOf(file: string, line: number): string {
  if (file === "") return "the configuration";
  return line > 0 ? `${file}:${line}` : file;
}
