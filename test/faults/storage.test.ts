import assert from "node:assert/strict";
import * as nodeFs from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { DomainError } from "../../src/lib/errors.ts";
import { ManualClock } from "../../src/lib/manual-clock.ts";
import type { StorageFs } from "../../src/storage/file-system.ts";
import type { LiveFiles } from "../../src/storage/live.ts";
import { createAuthority } from "../support/certificates.ts";
import { CrashPoint, crashingFs } from "../support/crash.ts";
import { freePort } from "../support/ports.ts";
import { type StorageLife, type StorageWorld, storageWorld, store } from "../support/storage-world.ts";
import { waitFor } from "../support/wait.ts";

const authority = createAuthority();
const bundleOf = () => {
  const { certificate, key } = authority.issue(["site.test"]);
  return certificate + key;
};
const [FIRST, SECOND] = [bundleOf(), bundleOf()] as const;
const MAP = "# hosts\na.test one\nb.test two\n";

/** The HAProxy of a process that dies at a point; HAProxy itself goes on. */
function crashingLive(live: LiveFiles, point: CrashPoint): LiveFiles {
  const { sslFiles, patternFiles } = live;
  return {
    ...live,
    sslFiles: { ...sslFiles, replace: point.wrap(sslFiles.replace) },
    patternFiles: {
      ...patternFiles,
      change: point.wrap(patternFiles.change),
      replace: point.wrap(patternFiles.replace),
    },
  };
}

describe("storage in trouble", () => {
  let world: StorageWorld;
  const pathOf = {
    certificate: () => join(world.paths.sslCerts, "site.pem"),
    map: () => join(world.paths.maps, "hosts.map"),
  };
  const entries = async () => {
    const file = (await world.live.patternFiles.list()).find(({ path }) => path === pathOf.map());
    return (await world.live.patternFiles.entries(file!)).map((entry) => `${entry.key} ${entry.value}`);
  };
  const served = async () => (await world.live.sslFiles.fingerprints("cert", pathOf.certificate()))?.[0];
  const leftovers = async () =>
    (await Promise.all([world.paths.sslCerts, world.paths.maps].map((path) => nodeFs.readdir(path))))
      .flat()
      .filter((name) => name.startsWith("."));
  const reset = async () => {
    const life = await begun();
    await store(life.storage, { kind: "certificates", name: "site.pem" }, FIRST);
    await store(life.storage, { kind: "maps", name: "hosts.map" }, MAP);
    await life.storage.stop();
  };
  const begun = async (options?: Parameters<StorageWorld["begin"]>[0]): Promise<StorageLife> => {
    const life = await world.begin(options);
    await life.storage.start();
    return life;
  };

  before(async () => {
    const port = await freePort();
    world = await storageWorld(
      ({ sslCerts, maps, general }) => `global
  lua-load ${general}/ours.lua
defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
frontend www
  bind 127.0.0.1:${port} ssl crt ${sslCerts}/site.pem
  http-request set-header x-host %[req.hdr(host),map(${maps}/hosts.map)]
`,
      async ({ sslCerts, maps, general }) => {
        await nodeFs.writeFile(join(sslCerts, "site.pem"), FIRST);
        await nodeFs.writeFile(join(maps, "hosts.map"), MAP);
        await nodeFs.writeFile(join(general, "ours.lua"), "-- ours\n");
      },
    );
  });
  after(async () => {
    await world?.[Symbol.asyncDispose]();
  });

  for (const [what, kind, name, content] of [
    ["a certificate", "certificates", "site.pem", SECOND],
    ["a map", "maps", "hosts.map", "# hosts\na.test three\nc.test four\n"],
  ] as const) {
    test(`killed at every step of replacing ${what}: the file is whole, and the next start brings HAProxy to it`, async () => {
      const path = kind === "maps" ? pathOf.map() : pathOf.certificate();
      for (let at = 1; ; at++) {
        await reset();
        const former = await nodeFs.readFile(path, "utf8");
        const point = new CrashPoint(at);
        const whole = (async () => {
          const life = await begun({ fs: crashingFs(point), wrap: (live) => crashingLive(live, point) });
          await store(life.storage, { kind, name }, content);
          return true;
        })();
        const isWhole = await Promise.race([whole, point.reached.then(() => false)]);
        whole.catch(() => {});
        await point.release();

        const next = await begun();
        const found = await nodeFs.readFile(path, "utf8");
        assert.ok(found === former || found === content, `after operation ${at} the file is neither`);
        if (isWhole) assert.equal(found, content);
        assert.deepEqual(await leftovers(), [], `after operation ${at}`);
        const [inFile, inHaproxy] =
          kind === "maps"
            ? [found.split("\n").filter((line) => /^\w/.test(line)), await entries()]
            : [found === SECOND, (await served()) !== (await fingerprintOf(FIRST))];
        assert.deepEqual(inHaproxy, inFile, `after operation ${at}`);
        await next.storage.stop();
        if (isWhole) break;
        assert.ok(at < 100);
      }
    });
  }

  test("a disk that is full in the middle of an upload changes nothing and leaves nothing", async () => {
    await reset();
    let written = 0;
    const full = Object.assign(new Error("no space left"), { code: "ENOSPC" });
    const fs = {
      ...nodeFs,
      async open(...args: Parameters<StorageFs["open"]>) {
        const handle = await nodeFs.open(...args);
        const write = handle.write.bind(handle) as unknown as (...args: unknown[]) => Promise<unknown>;
        return Object.assign(handle, {
          write: async (...rest: unknown[]) => {
            if (++written > 3) throw full;
            return write(...rest);
          },
        });
      },
    } as StorageFs;
    const life = await world.begin({ fs });
    async function* pieces() {
      for (let index = 0; index < 10; index++) yield Buffer.from(`k${index} v\n`);
    }
    const request = {
      kind: "maps",
      name: "hosts.map",
      size: undefined,
      etag: "",
      createOnly: false,
      apply: "auto",
      author: "test",
    } as const;
    await assert.rejects(
      life.storage.store(request, pieces(), () => undefined),
      (error) => error instanceof DomainError && error.reason === "STORE_UNAVAILABLE",
    );
    assert.equal(await nodeFs.readFile(pathOf.map(), "utf8"), MAP);
    assert.deepEqual(await leftovers(), []);
  });

  test("two uploads of one name at once: each is whole, the last one stands, in file and HAProxy", async () => {
    await reset();
    const { storage } = await begun();
    const contents = Array.from({ length: 8 }, (_, index) => `a.test v${index}\nonly.${index} x\n`);
    const outcomes = await Promise.all(
      contents.map((content) => store(storage, { kind: "maps", name: "hosts.map" }, content)),
    );
    assert.equal(outcomes.length, 8);
    const found = await nodeFs.readFile(pathOf.map(), "utf8");
    assert.ok(contents.includes(found));
    assert.deepEqual((await entries()).sort(), found.trimEnd().split("\n").sort());
    assert.deepEqual(await leftovers(), []);
  });

  test("a file that takes a reload is read by HAProxy's check first, and what is refused changes nothing", async () => {
    await reset();
    const { storage } = await begun();
    const path = join(world.paths.general, "ours.lua");
    const before = world.reloads();
    for (const [content, expected] of [
      ["this is no lua (", "CONFIGURATION_REFUSED"],
      [Buffer.alloc(65 * 1024 * 1024, "-- large\n"), "LIMIT_EXCEEDED"],
    ] as const) {
      await assert.rejects(
        store(storage, { kind: "general", name: "ours.lua" }, content),
        (error) => error instanceof DomainError && error.reason === expected,
      );
      assert.equal(await nodeFs.readFile(path, "utf8"), "-- ours\n");
      assert.deepEqual(await nodeFs.readdir(world.paths.general), ["ours.lua"]);
    }
    assert.equal(world.reloads(), before);
    const { applied } = await store(storage, { kind: "general", name: "ours.lua" }, "-- theirs\n");
    assert.equal(applied.via, "reload");
    assert.deepEqual(
      (await storage.get("general", "ours.lua")).referrers.map(({ directive }) => directive),
      ["lua-load"],
    );
  });

  test("a command that HAProxy refuses half way takes a reload, and nothing is lost", async () => {
    await reset();
    const before = world.reloads();
    let calls = 0;
    const { storage } = await begun({
      wrap: (live) => ({
        ...live,
        patternFiles: {
          ...live.patternFiles,
          async change(file, changes) {
            calls += 1;
            await live.patternFiles.change(file, changes.slice(0, 1));
            throw new DomainError("HAPROXY_REFUSED", "HAProxy refused the second");
          },
        },
      }),
    });
    const content = "a.test x\nb.test y\nc.test z\n";
    const { applied } = await store(storage, { kind: "maps", name: "hosts.map" }, content);
    assert.deepEqual([calls, applied.via, world.reloads()], [1, "reload", before + 1]);
    assert.deepEqual(await entries(), content.trimEnd().split("\n"));
  });

  test("sync: entries that others change come into the file, with order, comments and blanks kept", async () => {
    await reset();
    const clock = new ManualClock(Date.now());
    const { storage } = await begun({ clock, syncMs: 10_000 });
    await store(
      storage,
      { kind: "maps", name: "hosts.map" },
      "# hosts\nz.test  one two\n\n# second\na.test two\nempty\n",
    );
    const file = (await world.live.patternFiles.list()).find(({ path }) => path === pathOf.map())!;
    const [z, a] = await world.live.patternFiles.entries(file);
    await world.live.patternFiles.change(file, [
      { kind: "set", ref: z!.ref, value: "three  four five" },
      { kind: "delete", ref: a!.ref },
      { kind: "add", key: "new.test", value: "six" },
    ]);
    clock.advance(10_000);
    const expected = "# hosts\nz.test  three  four five\n\n# second\nempty\nnew.test six\n";
    await waitFor(
      "the file to follow",
      async () => (await nodeFs.readFile(pathOf.map(), "utf8")) === expected,
    );

    // An edit by hand is not HAProxy's to undo.
    const byHand = `${expected}hand.test mine\n`;
    await nodeFs.writeFile(pathOf.map(), byHand);
    for (let round = 0; round < 3; round++) {
      await waitFor("the next look to be due", async () => clock.pending > 0);
      clock.advance(10_000);
    }
    await waitFor("the last look to have ended", async () => clock.pending > 0);
    await storage.stop();
    assert.equal(await nodeFs.readFile(pathOf.map(), "utf8"), byHand);
  });
});

async function fingerprintOf(pem: string): Promise<string> {
  const { X509Certificate } = await import("node:crypto");
  return new X509Certificate(pem).fingerprint.replaceAll(":", "");
}
