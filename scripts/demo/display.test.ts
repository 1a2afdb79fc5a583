import assert from "node:assert/strict";
import { test } from "node:test";
import { openDisplay } from "./display.ts";

function fakeTerminal(isTTY: boolean, columns = 80) {
  const written: string[] = [];
  return { isTTY, columns, written, write: (text: string) => written.push(text) };
}

test("on a terminal the table is drawn anew where it was, with what was said last below it", (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const terminal = fakeTerminal(true, 11);
  let table = ["one", "two"];
  const display = openDisplay(terminal, () => table);
  table = ["longer than the terminal is wide"];
  display.say("said");
  t.mock.timers.tick(200);
  display.close();
  display.close();
  t.mock.timers.tick(1_000);
  display.say("after");
  assert.deepEqual(terminal.written, [
    "\x1b[?25l",
    "one\ntwo\n\n",
    "\x1b[3A\x1b[0Jlonger tha\n\nsaid\n",
    "\x1b[3A\x1b[0Jlonger tha\n\nsaid\n",
    "\x1b[?25h",
    "after\n",
  ]);
});

test("elsewhere only what is said is written, line by line", (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const terminal = fakeTerminal(false);
  const display = openDisplay(terminal, () => ["table"]);
  display.say("said");
  t.mock.timers.tick(1_000);
  display.close();
  assert.deepEqual(terminal.written, ["said\n"]);
});
