/** A message of HAProxy about its configuration or its start. */
export interface LogMessage {
  readonly level: "alert" | "warning" | "notice";
  /** Path of the file as given to HAProxy; empty when the message names none. */
  readonly file: string;
  /** Line of that file, from 1; 0 when the message names none. */
  readonly line: number;
  readonly message: string;
}
