import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { startHaplane } from "../support/haplane.ts";
import { preamble } from "../support/preamble.ts";
import { mountSmallDisk } from "../support/small-disk.ts";

const SITE = "backend site\n    server a 127.0.0.1:18001 id 1 weight 5\n";

/** Something that befalls a directory while haplane runs. */
interface Trouble {
  readonly dir: string;
  /** What the error says. */
  readonly code: string;
  begin(): void;
  end(): void;
  remove(): void;
}

/** Makes what `of` says immutable, as no permission can for root; undefined where the file system or the user cannot. */
function immutable(of: (dir: string) => string): Trouble | undefined {
  const dir = mkdtempSync(join(tmpdir(), "haplane-immutable-"));
  const set = (flag: "+i" | "-i", path: string) => spawnSync("chattr", [flag, path]).status === 0;
  const remove = () => rmSync(dir, { recursive: true });
  if (set("+i", dir) && set("-i", dir))
    return {
      ...{ dir, code: "E(?:PERM|ACCES)", remove },
      begin: () => assert.ok(set("+i", of(dir))),
      end: () => assert.ok(set("-i", of(dir))),
    };
  remove();
  return undefined;
}

function full(): Trouble | undefined {
  const disk = mountSmallDisk(1);
  return (
    disk && { dir: disk.dir, code: "ENOSPC", begin: disk.fill, end: disk.clear, remove: () => disk.remove() }
  );
}

const troubles: Readonly<Record<string, () => Trouble | undefined>> = {
  "becomes immutable": () => immutable((dir) => join(dir, "site.cfg")),
  "lies in a directory that becomes immutable": () => immutable((dir) => dir),
  "lies on a disk that becomes full": full,
};

for (const [what, make] of Object.entries(troubles)) {
  const trouble = make();
  const skip = trouble === undefined && "it takes the right to mount, and a file system with attributes";
  test(`truthful: a configuration file that ${what} is said, nothing is changed, and all goes on when that is over`, {
    skip,
  }, async () => {
    const { dir, code, begin, end, remove } = trouble as Trouble;
    const site = join(dir, "site.cfg");
    writeFileSync(site, SITE);
    const haplane = await startHaplane(preamble, [`--config=${site}`]);
    const weigh = () =>
      haplane.call("haplane.v1.Configuration/Update", {
        resource: { name: "backends/site/servers/a", server: { weight: 6 } },
        updateMask: "weight",
      });
    const create = () =>
      haplane.call("haplane.v1.Configuration/Create", { resource: { name: "backends/new", backend: {} } });
    const seen = async () => ({
      main: readFileSync(haplane.config, "utf8"),
      site: readFileSync(site, "utf8"),
      beside: readdirSync(dir).sort(),
      weight: await haplane.ask("get weight site/a"),
      worker: await haplane.worker(),
      revisions: await haplane.call("haplane.v1.Configuration/ListRevisions"),
    });
    try {
      const before = await seen();
      begin();
      try {
        const said = new RegExp(`503 .*"${dir}[^"]* cannot be written: ${code}".*STORE_UNAVAILABLE`, "s");
        await assert.rejects(weigh(), said);
        await assert.rejects(create(), said);
        assert.deepEqual(await seen(), before);
      } finally {
        end();
      }
      await weigh();
      await create();
      const after = await seen();
      assert.match(after.site, /weight 6\n[\s\S]*backend new/);
      assert.match(after.weight, /^6 /);
      assert.deepEqual(after.beside, before.beside);
    } finally {
      await haplane.stop();
      remove();
    }
  });
}
