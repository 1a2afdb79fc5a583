import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, type TestContext, test } from "node:test";
import fc from "fast-check";
import type { FileKind } from "../../src/storage/kinds.ts";
import { createAuthority } from "../support/certificates.ts";
import { judgingHaproxys } from "../support/judging-haproxys.ts";
import { freePort } from "../support/ports.ts";
import { type StorageLife, type StorageWorld, storageWorld, store } from "../support/storage-world.ts";

const authority = createAuthority();
const others = [createAuthority("Other CA 1"), createAuthority("Other CA 2")];
const issued = ["a.test", "b.test", "c.test", "d.test"].map((name) => authority.issue([name, `www.${name}`]));
const revoked = [authority.revoke(), authority.revoke(issued[2]!), authority.revoke(issued[2]!, issued[3]!)];
const bundleOf = (index: number) => issued[index]!.certificate + issued[index]!.key + authority.certificate;

/** A file that is stored in the property. */
interface Step {
  readonly kind: FileKind;
  readonly name: string;
  readonly content: string;
}

const key = fc.constantFrom("/a", "/b", "/ab", "^/x.*", "#odd", "/long/path", "é");
const value = fc.constantFrom("one", "two", "three words here", "a;b", "<<", "with # hash", "tab\tinside");
const mapLine = fc
  .oneof(
    {
      weight: 8,
      arbitrary: fc.tuple(key, fc.constantFrom(" ", "\t", "   "), value).map((parts) => parts.join("")),
    },
    { weight: 1, arbitrary: fc.constantFrom("# comment", "", "   ", "#") },
    { weight: 1, arbitrary: key },
  )
  .map((line) => (line.startsWith("#odd") ? ` ${line}` : line));
const uniqueLines = fc
  .uniqueArray(fc.tuple(key, value), { selector: ([own]) => own, maxLength: 6 })
  .map((lines) => lines.map((line) => ` ${line.join(" ")}`));
const text = (lines: fc.Arbitrary<string[]>) => lines.map((all) => all.map((line) => `${line}\n`).join(""));

for (const [index, { name: haproxy, binary }] of judgingHaproxys.entries()) {
  describe(`equal: what ${haproxy} has after a file was stored is what it has after a reload`, () => {
    /** The versions differ in their commands, not in what follows from them. */
    const runsOf = (runs: number) => (index === 0 ? runs : Math.ceil(runs / 3));
    let world: StorageWorld;
    let life: StorageLife;
    const certificate = (name: string) => join(world.paths.sslCerts, name);

    before(async () => {
      const ports = [await freePort(), await freePort()];
      world = await storageWorld(
        ({ sslCerts, maps }) => `defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
frontend www
  bind 127.0.0.1:${ports[0]} ssl crt ${sslCerts}/site.pem ca-file ${sslCerts}/ca/clients.pem crl-file ${sslCerts}/crl/revoked.pem verify optional
  bind 127.0.0.1:${ports[1]} ssl crt-list ${sslCerts}/crt-lists/sites.txt
  acl known path -f ${maps}/acls/known.lst
  http-request set-header x-ordered %[path,map_reg(${maps}/ordered.map)]
  http-request set-header x-plain %[path,map(${maps}/plain.map)] if known
`,
        async ({ sslCerts, maps }) => {
          for (const name of ["site.pem", "a.pem"]) await writeFile(join(sslCerts, name), bundleOf(0));
          for (const [index, name] of ["b.pem", "c.pem", "d.pem"].entries())
            await writeFile(join(sslCerts, name), bundleOf(index + 1));
          await writeFile(join(sslCerts, "ca/clients.pem"), authority.certificate);
          await writeFile(join(sslCerts, "crl/revoked.pem"), revoked[0]!);
          await writeFile(join(sslCerts, "crt-lists/sites.txt"), `${join(sslCerts, "a.pem")}\n`);
          for (const name of ["ordered.map", "plain.map", "acls/known.lst"])
            await writeFile(join(maps, name), "");
        },
        binary,
      );
      life = await world.begin();
    });
    after(async () => {
      await world?.[Symbol.asyncDispose]();
    });

    const state = async () => {
      const { sslFiles, patternFiles } = world.live;
      const patterns: Record<string, string[]> = {};
      for (const file of await patternFiles.list()) {
        const entries = (await patternFiles.entries(file)).map((entry) => `${entry.key} ${entry.value}`);
        // A map that is looked up by equality finds the same in any order, and an ACL asks only whether anything matches.
        patterns[file.path] = file.path.endsWith("ordered.map") ? entries : entries.sort();
      }
      const lists: Record<string, string[]> = {};
      for (const list of await sslFiles.lists())
        lists[list] = (await sslFiles.listEntries(list)).map((entry) => entry.certificate);
      return {
        ...{ patterns, lists },
        site: await sslFiles.fingerprints("cert", certificate("site.pem")),
        trusted: [...((await sslFiles.fingerprints("ca-file", certificate("ca/clients.pem"))) ?? [])].sort(),
        certificates: [...(await sslFiles.names("cert"))].filter((path) => lists[path] !== undefined).sort(),
      };
    };

    let ways: Record<string, number> = {};
    const check = async (steps: readonly Step[]) => {
      for (const { kind, name, content } of steps) {
        const { applied } = await store(life.storage, { kind, name }, content);
        ways[applied.via] = (ways[applied.via] ?? 0) + 1;
      }
      const live = await state();
      await world.reload();
      assert.deepEqual(live, await state());
    };
    /** Where everything took a reload nothing would be shown. */
    const holds = async (t: TestContext, steps: fc.Arbitrary<Step[]>, most: number) => {
      const numRuns = runsOf(most);
      ways = {};
      await fc.assert(fc.asyncProperty(steps, check), { numRuns });
      t.diagnostic(JSON.stringify(ways));
      assert.ok((ways.runtime ?? 0) > (index === 0 ? numRuns / 4 : 0), JSON.stringify(ways));
    };
    const stepsOf = (kind: FileKind, name: string, content: fc.Arbitrary<string>) =>
      fc.array(
        content.map((one) => ({ kind, name, content: one })),
        { minLength: 1, maxLength: 4 },
      );

    test("a map whose order counts", (t) =>
      holds(t, stepsOf("maps", "ordered.map", text(fc.array(mapLine, { maxLength: 12 }))), 15));

    test("a map of which every key stands once", (t) =>
      holds(t, stepsOf("maps", "plain.map", text(uniqueLines)), 10));

    test("an ACL file", (t) =>
      holds(
        t,
        stepsOf(
          "acls",
          "known.lst",
          text(fc.array(fc.constantFrom("/a", "/b c", "#no", " /d", "/e \t"), { maxLength: 6 })),
        ),
        10,
      ));

    test("a large map, changed anywhere", async () => {
      const lines = Array.from({ length: 2_000 }, (_, index) => `^/path/${index}$ v${index}`);
      const step = (all: readonly string[]) => [
        { kind: "maps", name: "ordered.map", content: `${all.join("\n")}\n` } as const,
      ];
      await check(step(lines));
      await check(step(lines.with(1_000, "^/path/1000$ other").toSpliced(50, 20)));
      await check(step(lines.toReversed()));
    });

    test("a certificate", (t) => holds(t, stepsOf("certificates", "site.pem", fc.nat(3).map(bundleOf)), 6));

    test("a CA file", (t) =>
      holds(
        t,
        stepsOf(
          "ca",
          "clients.pem",
          fc
            .subarray([authority, ...others], { minLength: 1 })
            .map((all) => all.map((one) => one.certificate).join("")),
        ),
        6,
      ));

    test("a revocation list", async () => {
      const before = world.reloads();
      for (const content of revoked)
        assert.equal(
          (await store(life.storage, { kind: "crl", name: "revoked.pem" }, content)).applied.reload,
          undefined,
        );
      assert.equal(world.reloads(), before);
    });

    test("a list of certificates", (t) =>
      holds(
        t,
        stepsOf(
          "crt-lists",
          "sites.txt",
          fc
            .array(
              fc.constantFrom(
                "b.pem",
                "c.pem [alpn h2] *.c.test",
                "d.pem !x.d.test",
                "b.pem [verify none] z.b.test",
              ),
              { maxLength: 4 },
            )
            .map((names) =>
              ["# ours", certificateLine("a.pem"), ...names.map(certificateLine)]
                .map((line) => `${line}\n`)
                .join(""),
            ),
        ),
        10,
      ));

    const certificateLine = (line: string) =>
      `${certificate(line.split(" ")[0]!)}${line.slice(line.split(" ")[0]!.length)}`;
  });
}
