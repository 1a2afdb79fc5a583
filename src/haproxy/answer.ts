import { DomainError } from "../lib/errors.ts";

/** An answer of HAProxy's command line, with `set severity-output number` on. */
export interface Answer {
  /** Syslog's levels: 3 and below is an error, 4 a warning, 6 information; undefined for data and for silence. */
  readonly severity: number | undefined;
  /** What was printed, without the severity and the blank lines around it. */
  readonly text: string;
  /** The process that answered. */
  readonly workerPid: number;
}

/** Takes an answer apart as it came off the socket. */
export function readAnswer(raw: string, workerPid: number): Answer {
  const body = raw.replace(/^(?:\+ )+/, "").replace(/^\n+|\n+$/g, "");
  const match = /^\[([0-7])\]: /.exec(body);
  if (match === null) return { severity: undefined, text: body, workerPid };
  return { severity: Number(match[1]), text: body.slice(match[0].length), workerPid };
}

/** True when HAProxy did not do what it was told, by the severity, or by words where that says nothing. */
export function isRefusal({ severity, text }: Answer): boolean {
  if (severity === undefined) return false;
  return severity <= 3 || /^(?:Unknown command|Permission denied)/.test(text);
}

/** True when a change of a server was not made because its worker is stopping, or its proxy is `disabled` in the configuration. */
export function isStopping({ text }: Answer): boolean {
  return text === "Proxy is disabled.";
}

/** The error for a refusal. `what` names the command without its values, which may be secrets. */
export function refusal(what: string, { text }: Answer): DomainError {
  const reason = /^No such (?:server|backend)|^Can't find backend/i.test(text)
    ? "RESOURCE_NOT_FOUND"
    : /^Already exists a server/.test(text)
      ? "RESOURCE_EXISTS"
      : "HAPROXY_REFUSED";
  const [firstLine = ""] = text.split("\n");
  return new DomainError(reason, `HAProxy refused "${what}": ${firstLine}`, { metadata: { output: text } });
}
