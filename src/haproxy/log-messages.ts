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
const HEAD = /^\[(ALERT|WARNING|NOTICE)\]\s*\((\d+)\)\s*:\s*(.*)$/;

/** `config : parsing [FILE:LINE] : …`; what is found after reading has `Parsing`, or neither. */
const PLACE = /^(?:config\s*:\s*)?(?:[Pp]arsing\s+)?\[([^\]]+):(\d+)\]\s*:?\s*(.*)$/s;

/** What follows every alert and says nothing of its own. */
const EPILOGUE = /^(?:Error\(s\) found in configuration file|Fatal errors found in configuration)/;

/** With these lines a check ends that found no fault; they stand behind the last message, and are no part of it. */
const VERDICT = /^(?:Warnings were found\.|Configuration file is valid)$/;

const LEVELS = { ALERT: "alert", WARNING: "warning", NOTICE: "notice" } as const;

/** What the master says of every death of a worker. */
const LAST_WORDS = /^exit-on-failure: /;

/**
 * Reads what HAProxy prints when it checks a configuration, starts or reloads. A line without a head of its own belongs to the
 * message before it. The alerts that only repeat that there were alerts are left out, and so is everything that the process
 * `exceptPid` says.
 */
export function parseLogMessages(output: string, exceptPid?: number): LogMessage[] {
  const messages: { level: LogMessage["level"]; pid: number; text: string }[] = [];
  for (const line of output.split("\n")) {
    const last = messages.at(-1);
    const [, level, pid, text] = HEAD.exec(line) ?? [];
    if (text !== undefined)
      messages.push({ level: LEVELS[level as keyof typeof LEVELS], pid: Number(pid), text });
    else if (line.trim() !== "" && !VERDICT.test(line) && last !== undefined) last.text += `\n${line}`;
  }
  return messages
    .filter(({ pid }) => pid !== exceptPid)
    .map(({ level, text }) => place(level, text))
    .filter(({ message }) => !EPILOGUE.test(message));
}

function place(level: LogMessage["level"], text: string): LogMessage {
  const found = PLACE.exec(text);
  if (found === null) return { level, file: "", line: 0, message: text.replace(/^config\s*:\s*/, "") };
  return { level, file: found[1] as string, line: Number(found[2]), message: found[3] as string };
}

/** The alert that says best why HAProxy ended, as a sentence: the last one, except that all have ended. Undefined when there is none. */
export function fatalAlert(messages: readonly LogMessage[]): string | undefined {
  const alert = messages.findLast(({ level, message }) => level === "alert" && !LAST_WORDS.test(message));
  if (alert === undefined) return undefined;
  return sentenceOf(alert);
}

/** A message with the place that it is about, as far as it names one. */
export function sentenceOf({ file, line, message }: Pick<LogMessage, "file" | "line" | "message">): string {
  if (file === "") return message;
  return line === 0 ? `${file}: ${message}` : `${file}:${line}: ${message}`;
}
