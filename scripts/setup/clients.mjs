import { rmSync } from "node:fs";
import { join } from "node:path";
import { findProgram, isExecutable, run } from "./host.mjs";
import { SetupError } from "./step.mjs";

const GRPCURL = "1.9.3";
const GRPCIO = "1.85.1";

/**
 * The client that people use at a terminal, built by Go. The end-to-end tests use it where it is there.
 *
 * @type {import("./step.mjs").Step}
 */
export const grpcurl = {
  async isPresent(host) {
    const { ok, output } = await run(host, join(host.tools, "bin", "grpcurl"), ["--version"]);
    return ok && output.includes(GRPCURL);
  },

  async install(host) {
    const go = findProgram(host, "go");
    if (!go) throw new SetupError("The tests run without grpcurl: there is no Go to build it with.");
    host.say(`Building grpcurl ${GRPCURL} into .haplane/tools/bin.`);
    const { ok, output } = await run(
      host,
      go,
      [
        "install",
        "-ldflags",
        `-s -w -X main.version=${GRPCURL}`,
        `github.com/fullstorydev/grpcurl/cmd/grpcurl@v${GRPCURL}`,
      ],
      // GOFLAGS is emptied, since a user's may not fit; a toolchain is not fetched to build one tool.
      { env: { GOBIN: join(host.tools, "bin"), GOTOOLCHAIN: "local", GOFLAGS: "", CGO_ENABLED: "0" } },
    );
    if (!ok)
      throw new SetupError(`The tests run without grpcurl: go could not build it. ${lastLine(output)}`);
  },
};

/**
 * A Python with grpcio and its generator, in an environment of its own. The end-to-end tests use it as a client in another
 * language, generated from the protos.
 *
 * @type {import("./step.mjs").Step}
 */
export const pythonClient = {
  async isPresent(host) {
    const python = join(host.tools, "python", "bin", "python");
    if (!isExecutable(python)) return false;
    const { ok, output } = await run(host, python, [
      "-c",
      "import grpc, grpc_tools; print(grpc.__version__)",
    ]);
    return ok && output.trim() === GRPCIO;
  },

  async install(host) {
    const without = "The tests run without a Python client:";
    const python = findProgram(host, "python3");
    if (!python) throw new SetupError(`${without} there is no python3.`);
    host.say(`Installing grpcio ${GRPCIO} for Python into .haplane/tools/python.`);
    const directory = join(host.tools, "python");
    rmSync(directory, { recursive: true, force: true });
    const venv = await run(host, python, ["-m", "venv", directory]);
    if (!venv.ok) throw new SetupError(`${without} it has no module venv. ${lastLine(venv.output)}`);
    const pip = await run(host, join(directory, "bin", "python"), [
      ...["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"],
      ...[`grpcio==${GRPCIO}`, `grpcio-tools==${GRPCIO}`],
    ]);
    if (!pip.ok) throw new SetupError(`${without} pip could not install grpcio. ${lastLine(pip.output)}`);
  },
};

/**
 * @param {string} output
 * @returns {string}
 */
function lastLine(output) {
  return output.trim().split("\n").at(-1) ?? "";
}
