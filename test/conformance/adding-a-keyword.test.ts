import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { keywordList } from "../../scripts/language-pages.ts";
import { editSection } from "../../src/grammar/edit-section.ts";
import { compileGrammar } from "../../src/grammar/grammar.ts";
import { sectionMessage } from "../../src/grammar/section-message.ts";
import { DomainError } from "../../src/lib/errors.ts";
import { Document } from "../../src/text/document.ts";
import { compileProtos } from "../support/compile-proto.ts";

const page = readFileSync(new URL("../../docs/adding-a-keyword.md", import.meta.url), "utf8");

/** The fields that the page shows, by name. */
function fieldOf(name: string): string {
  const field = new RegExp(`^optional string ${name} = .*;$`, "m").exec(page)?.[0];
  assert.ok(field !== undefined, `docs/adding-a-keyword.md shows no field ${name}`);
  return field;
}

/** Adds a field as the last one of a message. */
function added(proto: string, message: string, field: string): string {
  const start = proto.indexOf(`\nmessage ${message} {`);
  const end = proto.indexOf("\n}", start);
  assert.ok(start >= 0 && end >= 0);
  return `${proto.slice(0, end)}\n  ${field}${proto.slice(end)}`;
}

test("one line in a proto adds a keyword: it is read, written, checked", () => {
  const registry = compileProtos({
    "haplane/config/v1/proxy.proto": (proto) => added(proto, "Proxy", fieldOf("timeout_nap")),
    "haplane/config/v1/server.proto": (proto) => added(proto, "Server", fieldOf("nap")),
  });
  const grammar = compileGrammar([registry.getFile("haplane/config/v1/proxy.proto")!]);
  const codec = grammar.section("listen")!;
  const text =
    "listen app\n    timeout nap 5s # zzz\n    server a 10.0.0.1:80 nap 1m check\n    timeout client 1s\n";
  const document = Document.parse([{ path: "haproxy.cfg", bytes: Buffer.from(text) }]);
  const section = document.find("listen", "app")[0]!;
  const message = sectionMessage(codec, section, { children: true, secrets: false });
  assert.equal(message.timeoutNap, "5s");
  assert.equal((message.servers as { nap?: string }[])[0]!.nap, "1m");

  const field = codec.desc.field.timeoutNap!;
  const nap = (value: string | undefined, minor: number) =>
    editSection(
      document,
      section,
      codec,
      { ...message, timeoutNap: value },
      { fields: new Set([field]), version: { major: 3, minor } },
    );
  assert.equal(nap("9s", 6).document.print(0).toString(), text.replace("5s", "9s"));
  assert.equal(
    nap(undefined, 6).document.print(0).toString(),
    text.replace("    timeout nap 5s # zzz\n", ""),
  );
  const refused = (run: () => unknown, reason: string, description: RegExp) =>
    assert.throws(
      run,
      (error) =>
        error instanceof DomainError &&
        error.reason === reason &&
        description.test(error.violations[0]!.description),
    );
  refused(() => nap("soon", 6), "FIELD_INVALID", /must be a number and a unit/);
  refused(
    () => nap("1s", 2),
    "NOT_SUPPORTED",
    /^"timeout nap" exists from HAProxy 3\.6 on; HAProxy 3\.2 is running$/,
  );

  const timeout = codec.create();
  Object.assign(timeout, { timeoutNap: "9s" });
  const written = (header: string) => {
    const file = `${header}\n    timeout client 1s\n    maxconn 5\n`;
    const document = Document.parse([{ path: "haproxy.cfg", bytes: Buffer.from(file) }]);
    const section = document.find(header.split(" ")[0]!, "web")[0]!;
    return editSection(document, section, codec, timeout, { fields: new Set([field]) })
      .document.print(0)
      .toString();
  };
  assert.equal(
    written("frontend web"),
    "frontend web\n    timeout client 1s\n    timeout nap 9s\n    maxconn 5\n",
  );
  refused(() => written("backend web"), "FIELD_INVALID", /backend/);
  assert.match(keywordList(grammar), /timeout_nap.*timeout nap/);
});
