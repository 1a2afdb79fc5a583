/** A message of HAProxy about its configuration or its start. */
export interface LogMessage {
  readonly level: "alert" | "warning" | "notice";
  /** Path of the file as given to HAProxy; empty when the message names none. */
  readonly file: string;
  /** Line of that file, from 1; 0 when the message names none. */
  readonly line: number;
  readonly message: string;
}

/** `[ALERT]    (1234) : config : …`; older and newer versions differ in blanks only. */
const HEAD = /^\[(ALERT|WARNING|NOTICE)\]\s*\(\d+\)\s*:\s*(.*)$/;

/** `config : parsing [FILE:LINE] : …`; what is found after reading has `Parsing`, or neither. */
const PLACE = /^(?:config\s*:\s*)?(?:[Pp]arsing\s+)?\[([^\]]+):(\d+)\]\s*:?\s*(.*)$/s;

/** What follows every alert and says nothing of its own. */
const EPILOGUE = /^(?:Error\(s\) found in configuration file|Fatal errors found in configuration)/;

const LEVELS = { ALERT: "alert", WARNING: "warning", NOTICE: "notice" } as const;

/**
 * Reads what HAProxy prints when it checks a configuration, starts or reloads. A line without a head of its own belongs to the
 * message before it. The alerts that only repeat that there were alerts are left out.
 */
export function parseLogMessages(output: string): LogMessage[] {
  const messages: { level: LogMessage["level"]; text: string }[] = [];
  for (const line of output.split("\n")) {
    const head = HEAD.exec(line);
    const last = messages.at(-1);
    if (head !== null)
      messages.push({ level: LEVELS[head[1] as keyof typeof LEVELS], text: head[2] as string });
    else if (line.trim() !== "" && last !== undefined) last.text += `\n${line}`;
  }
  return messages
    .map(({ level, text }) => place(level, text))
    .filter(({ message }) => !EPILOGUE.test(message));
}

function place(level: LogMessage["level"], text: string): LogMessage {
  const found = PLACE.exec(text);
  if (found === null) return { level, file: "", line: 0, message: text.replace(/^config\s*:\s*/, "") };
  return { level, file: found[1] as string, line: Number(found[2]), message: found[3] as string };
}

/** The first alert of a log as a sentence, for a reason; undefined when there is none. */
export function firstAlert(messages: readonly LogMessage[]): string | undefined {
  const alert = messages.find(({ level }) => level === "alert");
  if (alert === undefined) return undefined;
  return alert.file === "" ? alert.message : `${alert.file}:${alert.line}: ${alert.message}`;
}
