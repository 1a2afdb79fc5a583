import { askOnce } from "../haproxy/ask-once.ts";
import { acceptingWorker, parseShowProc } from "../haproxy/show-proc.ts";
import type { HaproxyVersion } from "../haproxy/version.ts";
import { type Finding, ok, problem, warning } from "./finding.ts";

/** What a look at a master socket shows. */
export interface SeenMaster {
  readonly findings: readonly Finding[];
  /** The worker that accepts connections; undefined when there is none. */
  readonly workerPid: number | undefined;
}

/** Master socket of an HAProxy that somebody else runs: whether it answers, and who accepts. `binary` is the version on disk. */
export async function lookAtMaster(path: string, binary: HaproxyVersion | undefined): Promise<SeenMaster> {
  let answer: string;
  try {
    answer = await askOnce(path, "show proc");
  } catch (error) {
    return unusable(
      problem(
        `the master socket ${path} does not answer: ${(error as Error).message}`,
        "start HAProxy as `haproxy -W -S PATH,mode,600`, and run haplane as a user who may open it",
      ),
    );
  }
  const list = parseShowProc(answer);
  if (list === undefined)
    return unusable(
      problem(
        `${path} is not the socket of a master`,
        "name the one of `haproxy -S` with --master-socket FILE",
      ),
    );
  const worker = acceptingWorker(list);
  if (worker === undefined)
    return unusable(
      problem(
        "no worker of HAProxy accepts connections",
        "see HAProxy's log; haplane check tells whether the configuration is at fault",
      ),
    );
  const findings = [ok(`the master socket ${path} answers: worker ${worker.pid}, HAProxy ${worker.version}`)];
  if (binary !== undefined && worker.version !== binary.text)
    findings.push(
      warning(
        `HAProxy ${worker.version} runs, and ${binary.text} is on disk`,
        "restart HAProxy when it suits you: configurations are checked by the one on disk, which the next reload runs",
      ),
    );
  return { findings, workerPid: worker.pid };
}

function unusable(finding: Finding): SeenMaster {
  return { findings: [finding], workerPid: undefined };
}

/** The stats socket: whether it answers, and everything is allowed there. */
export async function lookAtStats(path: string): Promise<Finding> {
  try {
    const level = await askOnce(path, "show cli level");
    if (level === "admin") return ok(`the stats socket ${path} allows everything`);
    return problem(
      `the stats socket ${path} has the level ${level || "(none)"}`,
      `write \`stats socket ${path} level admin\` into the section global`,
    );
  } catch (error) {
    return problem(
      `the stats socket ${path} does not answer: ${(error as Error).message}`,
      `write \`stats socket ${path} mode 600 level admin\` into the section global, and run haplane as a user who may open it`,
    );
  }
}
