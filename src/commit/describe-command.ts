import { additionCommands } from "../haproxy/apply-servers.ts";
import { removalCommands } from "../haproxy/delete-server.ts";
import type { DeleteServer } from "../haproxy/server-change.ts";
import type { RuntimeCommand } from "./classify.ts";

/** The commands that HAProxy is sent for one, in its own words; a line that begins with `#` says what comes only under a condition. Values that are secret are left out. */
export function describeCommand(command: RuntimeCommand): string[] {
  if (command.kind === "maxconn") return [`set maxconn frontend ${command.frontend} ${command.maxconn}`];
  const target = `${command.backend}/${command.server}`;
  switch (command.kind) {
    case "add":
      return additionCommands(command).map((words) =>
        words.map((word, index) => (SECRET.has(words[index - 1] ?? "") ? "[redacted]" : word)).join(" "),
      );
    case "delete":
      return describeRemoval(command);
    case "set":
      return [
        ...(command.address === undefined
          ? []
          : [`set server ${target} addr ${command.address} port ${command.port}`]),
        ...(command.weight === undefined ? [] : [`set server ${target} weight ${command.weight}`]),
        ...(command.state === undefined ? [] : [`set server ${target} state ${command.state}`]),
      ];
  }
}

/** A removal waits for the connections of its server, and only then deletes it: what that may take is told as well. */
function describeRemoval(command: DeleteServer): string[] {
  const { first, inUse, drainMs, overdue } = removalCommands(command);
  const [, deletion] = first.map((words) => words.join(" "));
  const waiting = inUse.map((words) => words.join(" ")).join("; ");
  const end = overdue === undefined ? "" : `; then ${overdue.join(" ")}, and ${deletion}`;
  return [
    ...first.map((words) => words.join(" ")),
    `# while it has connections: ${waiting}; ${deletion} again, for up to ${drainMs / 1_000} s${end}`,
  ];
}

/** Parameters of a server whose value is a secret (configuration manual, section 5.2). */
const SECRET: ReadonlySet<string> = new Set(["tcp-md5sig"]);
