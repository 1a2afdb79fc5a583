import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Registry } from "../../src/discovery/registry.ts";
import { observe } from "../support/observed-registry.ts";
import { waitFor } from "../support/wait.ts";

/** A registry under test and the means to change what it knows. */
export interface RegistryFixture {
  /** The adaptor, retrying within 100 ms. */
  readonly registry: Registry;
  /** Registers an instance at 127.0.0.1, healthy unless told otherwise. */
  register(service: string, id: string, port: number, options?: InstanceOptions): Promise<void>;
  deregister(service: string, id: string): Promise<void>;
  setHealthy(service: string, id: string, isHealthy: boolean): Promise<void>;
  /** Makes the registry unreachable until the returned function is called. */
  interrupt(): Promise<() => Promise<void>>;
  /** What it calls an instance that was registered under an id and port. Default: the id. */
  idOf?(id: string, port: number): string;
  /** Whether its answers carry an index. Default true. */
  readonly hasIndex?: boolean;
  stop(): Promise<void>;
}

/** What an instance may have beside its port. */
export interface InstanceOptions {
  readonly isHealthy?: boolean;
  readonly weight?: number;
}

/** What every adaptor of the interface `Registry` does, whatever it talks to. */
export function registryContract(name: string, start: () => Promise<RegistryFixture>): void {
  describe(`registry contract: ${name}`, () => {
    let fixture: RegistryFixture;
    before(async () => {
      fixture = await start();
    });
    after(() => fixture.stop());

    /** In every test `a` listens at 8001 and `b` at 8002. */
    const known = (...ids: ("a" | "b")[]) =>
      ids.map((id) => fixture.idOf?.(id, id === "a" ? 8001 : 8002) ?? id);

    test("lists services and their instances, and tells of every change", async () => {
      const watch = observe(fixture.registry);
      await watch.until("services");
      await fixture.register("web", "a", 8001);
      await watch.untilIds("web", known("a"));
      assert.ok(watch.services?.has("web"));
      await fixture.register("web", "b", 8002, { weight: 7 });
      await watch.untilIds("web", known("a", "b"));
      const [, b] = watch.instances("web") ?? [];
      assert.equal(b?.address, "127.0.0.1");
      assert.equal(b?.port, 8002);
      assert.equal(b?.weight, 7);
      await fixture.deregister("web", "a");
      await watch.untilIds("web", known("b"));
      await fixture.deregister("web", "b");
      await waitFor("the service to be gone", () => watch.services?.has("web") === false);
      await watch.stop();
    });

    test("leaves out what is not healthy, and the service is there nevertheless", async () => {
      const watch = observe(fixture.registry);
      await fixture.register("ill", "a", 8001, { isHealthy: true });
      await fixture.register("ill", "b", 8002, { isHealthy: false });
      await watch.untilIds("ill", known("a"));
      await fixture.setHealthy("ill", "a", false);
      await watch.untilIds("ill", known());
      assert.ok(watch.services?.has("ill"));
      await fixture.setHealthy("ill", "b", true);
      await watch.untilIds("ill", known("b"));
      await fixture.deregister("ill", "a");
      await fixture.deregister("ill", "b");
      await watch.stop();
    });

    test("an outage is a failure, changes no answer, and heals by itself", async () => {
      const watch = observe(fixture.registry);
      await fixture.register("app", "a", 8001);
      await watch.untilIds("app", known("a"));
      const before = watch.events.length;
      const resume = await fixture.interrupt();
      await watch.until("failure", before);
      const during = watch.events.slice(before);
      assert.ok(during.every(({ kind }) => kind === "failure"));
      await resume();
      await waitFor("the list and the service to be answered again", () => {
        const since = watch.events.slice(before + during.length);
        return (
          since.some(({ kind }) => kind === "services") && since.some(({ kind }) => kind === "instances")
        );
      });
      await watch.untilIds("app", known("a"));
      await fixture.deregister("app", "a");
      await watch.stop();
    });

    test("an index below the one it goes on from is told before the answer, if it has one", async () => {
      if (fixture.hasIndex === false) return;
      const watch = observe(fixture.registry, 1_000_000_000n);
      await watch.until("services");
      const kinds = watch.events.map(({ kind }) => kind);
      assert.ok(kinds.indexOf("doubt") >= 0 && kinds.indexOf("doubt") < kinds.indexOf("services"));
      await watch.stop();
    });

    test("a strict read says what is there, and whether there is a leader", async () => {
      await fixture.register("strict", "a", 8001);
      const signal = new AbortController().signal;
      const confirmation = await fixture.registry.confirm("strict", signal);
      assert.equal(confirmation.doubt, undefined);
      assert.deepEqual(
        confirmation.instances.map(({ id }) => id),
        known("a"),
      );
      await fixture.deregister("strict", "a");
      assert.deepEqual((await fixture.registry.confirm("strict", signal)).instances, []);
    });

    test("an abort ends a watch at once, and nothing is reported afterwards", async () => {
      await fixture.register("end", "a", 8001);
      const watch = observe(fixture.registry);
      await watch.untilIds("end", known("a"));
      const began = performance.now();
      await watch.stop();
      assert.ok(performance.now() - began < 500, "it does not wait for the registry");
      const reported = watch.events.length;
      await fixture.deregister("end", "a");
      const next = observe(fixture.registry);
      await waitFor("another watch to see the change", () => next.services?.has("end") === false);
      assert.equal(watch.events.length, reported);
      await next.stop();
    });
  });
}
