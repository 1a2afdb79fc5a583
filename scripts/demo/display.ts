/** Where the demo shows what happens. */
export interface Display {
  /** Says something that stays. */
  say(line: string): void;
  /** Ends the live table, if there is one; what is said from now on comes below it. */
  close(): void;
}

/** The part of standard output that a display needs. */
export interface Terminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const FRAME_MS = 200;
/** Of what was said, how much stays above the table. */
const SAID_LINES = 4;
const HIDE_CURSOR = "\x1b[?25l";
const SHOW_CURSOR = "\x1b[?25h";

/** A table that is drawn anew in its place while it lives, with what was said last below it. On anything but a terminal: only what is said, line by line. */
export function openDisplay(terminal: Terminal, table: () => readonly string[]): Display {
  if (terminal.isTTY !== true) {
    return { say: (line) => void terminal.write(`${line}\n`), close: () => {} };
  }
  const said: string[] = [];
  let height = 0;
  let isOpen = true;

  const draw = () => {
    const width = (terminal.columns || 80) - 1;
    const lines = [...table(), "", ...said.slice(-SAID_LINES)].map((line) => line.slice(0, width));
    terminal.write(`${erase(height)}${lines.map((line) => `${line}\n`).join("")}`);
    height = lines.length;
  };
  terminal.write(HIDE_CURSOR);
  draw();
  const timer = setInterval(draw, FRAME_MS);
  return {
    say(line) {
      if (isOpen) said.push(line);
      else terminal.write(`${line}\n`);
    },
    close() {
      if (!isOpen) return;
      isOpen = false;
      clearInterval(timer);
      draw();
      terminal.write(SHOW_CURSOR);
    },
  };
}

/** Moves to the first of the last lines and clears from there. */
function erase(lines: number): string {
  return lines === 0 ? "" : `\x1b[${lines}A\x1b[0J`;
}
