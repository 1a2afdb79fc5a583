import assert from "node:assert/strict";
import { test } from "node:test";
import { fatalAlert, parseLogMessages } from "./log-messages.ts";

test("what haproxy -c prints becomes messages with their places", () => {
  const output = `[NOTICE]   (12703) : haproxy version is 2.6.12-1+deb12u4
[ALERT]    (12703) : config : parsing [/etc/haproxy/a:b.cfg:3] : unknown keyword 'nosuch' in 'global' section
[WARNING]  (12703) : config : Parsing [w.cfg:12]: proxy 'f' has the same name as frontend 'f' declared at w.cfg:5.
[ALERT] 276/193801 (12703) : not of ours
[ALERT]    (12703) : config : [w.cfg:7] : 'server b/s1' : could not resolve address 'x.invalid'.
  second line
[ALERT]    (12703) : [/usr/sbin/haproxy.main()] Cannot chroot(/tmp/nonexist).
[ALERT]    (12703) : config : Proxy 'f': unable to find required default_backend: 'zz'.
[ALERT]    (12703) : config : Error(s) found in configuration file : w.cfg
[ALERT]    (12703) : config : Fatal errors found in configuration.
`;
  const messages = parseLogMessages(output);
  assert.deepEqual(messages, [
    { level: "notice", file: "", line: 0, message: "haproxy version is 2.6.12-1+deb12u4" },
    {
      level: "alert",
      file: "/etc/haproxy/a:b.cfg",
      line: 3,
      message: "unknown keyword 'nosuch' in 'global' section",
    },
    {
      level: "warning",
      file: "w.cfg",
      line: 12,
      message:
        "proxy 'f' has the same name as frontend 'f' declared at w.cfg:5.\n[ALERT] 276/193801 (12703) : not of ours",
    },
    {
      level: "alert",
      file: "w.cfg",
      line: 7,
      message: "'server b/s1' : could not resolve address 'x.invalid'.\n  second line",
    },
    {
      level: "alert",
      file: "",
      line: 0,
      message: "[/usr/sbin/haproxy.main()] Cannot chroot(/tmp/nonexist).",
    },
    {
      level: "alert",
      file: "",
      line: 0,
      message: "Proxy 'f': unable to find required default_backend: 'zz'.",
    },
  ]);
  assert.deepEqual(parseLogMessages(output, 12703), []);
});

test("the words with which a check ends belong to no warning", () => {
  const output = `[WARNING]  (1) : config : backend 'b' has no server.
  a second line
Warnings were found.
Configuration file is valid
`;
  assert.deepEqual(
    parseLogMessages(output).map(({ message }) => message),
    ["backend 'b' has no server.\n  a second line"],
  );
});

test("the alert that names why HAProxy ended is the last one before the goodbye", () => {
  const reason = (output: string) => fatalAlert(parseLogMessages(output));
  assert.equal(
    reason(`[ALERT]    (1) : config : parsing [a.cfg:3] : unknown keyword 'x' in 'global' section
[ALERT]    (1) : config : Error(s) found in configuration file : a.cfg`),
    "a.cfg:3: unknown keyword 'x' in 'global' section",
  );
  assert.equal(
    reason(`[ALERT]    (2) : backend 'b' has no server available!
[ALERT]    (2) : [/usr/sbin/haproxy.main()] Cannot chroot(/nowhere).
[ALERT]    (1) : exit-on-failure: killing every processes with SIGTERM`),
    "[/usr/sbin/haproxy.main()] Cannot chroot(/nowhere).",
  );
  assert.equal(reason("[NOTICE]   (1) : Loading success."), undefined);
});
