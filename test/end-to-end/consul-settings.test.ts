import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  AddressChoice,
  HealthPolicy,
  type Source,
  SourceSchema,
} from "../../gen/haplane/v1/service_discovery_pb.js";
import { CONSUL_DEFAULTS, createConsulRegistry } from "../../src/discovery/consul/registry.ts";
import { consulSettings } from "../../src/discovery/consul/settings.ts";
import { readSettings } from "../../src/discovery/settings.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { startConsul, type TestConsul } from "../support/consul.ts";
import { type ObservedRegistry, observe } from "../support/observed-registry.ts";
import { freePort } from "../support/ports.ts";

type ConsulInit = Extract<
  NonNullable<MessageInitShape<typeof SourceSchema>["registry"]>,
  { case: "consul" }
>["value"];

/** The files are a certificate for `test.invalid` that signs itself, and its key. */
const FILES = join(import.meta.dirname, "../conformance/files");
const CA = readFileSync(join(FILES, "ca.pem"), "utf8");
const PEM = readFileSync(join(FILES, "cert.pem"), "utf8");
const [CERTIFICATE = "", KEY = ""] = [
  /-+BEGIN CERT.*?END CERTIFICATE-+/s,
  /-+BEGIN PRIV.*?END PRIVATE KEY-+/s,
].map((part) => PEM.match(part)?.[0]);

describe("settings of a source, with the real Consul", () => {
  let consul: TestConsul;
  let https: number;

  before(async () => {
    https = await freePort();
    consul = await startConsul(undefined, [
      `ports { https = ${https} }`,
      ...[`ca_file = "${join(FILES, "ca.pem")}"`, `cert_file = "${join(FILES, "cert.pem")}"`],
      ...[`key_file = "${join(FILES, "cert.pem")}"`, "verify_incoming_https = true"],
    ]);
    const blue = { tags: ["blue", "v1"], metadata: { zone: "a", weight: "7" } };
    const wan = { wan: { address: "192.0.2.1", port: 9_000 } };
    await consul.register({ id: "a", service: "web", port: 81, weight: 3, ...blue, taggedAddresses: wan });
    await consul.register({
      id: "b",
      service: "web",
      port: 82,
      weight: 3,
      tags: ["blue"],
      metadata: { zone: "b" },
    });
    await consul.register({ id: "c", service: "web", port: 83, status: "critical", ...blue });
    await consul.register({ id: "d", service: "web", port: 84, status: "warning" });
    await consul.register({ id: "e", service: "web", port: 85 });
    await consul.setMaintenance("e", true);
    await consul.register({ id: "x", service: "api-v2", port: 91, tags: ["green"] });
  });
  after(() => consul.stop());

  function open(value: ConsulInit): ObservedRegistry {
    const source: Source = create(SourceSchema, {
      registry: { case: "consul", value: { address: "127.0.0.1", port: consul.port, ...value } },
    });
    const settings = readSettings("sources/s", source, "source");
    assert.ok(settings.registry.case === "consul");
    const retry = { firstMs: 50, maxMs: 500 };
    return observe(
      createConsulRegistry(consulSettings(settings.registry.value, retry), {
        ...CONSUL_DEFAULTS,
        clock: systemClock,
      }),
    );
  }

  async function withWatch(
    value: ConsulInit,
    what: (watch: ObservedRegistry) => Promise<void>,
  ): Promise<void> {
    const watch = open(value);
    try {
      await what(watch);
    } finally {
      await watch.stop();
    }
  }

  const lists: Record<string, { filter: ConsulInit & object; services: string[]; ignored: RegExp }> = {
    "an allowlist": {
      filter: { filter: { allow: ["web"] } },
      services: ["web"],
      ignored: /not in filter.allow/,
    },
    "a denylist": { filter: { filter: { deny: ["web"] } }, services: ["api-v2"], ignored: /in filter.deny/ },
    "a pattern": {
      filter: { filter: { namePattern: "api-v[0-9]+" } },
      services: ["api-v2"],
      ignored: /name_pattern/,
    },
    tags: { filter: { filter: { tags: ["green"] } }, services: ["api-v2"], ignored: /the tag "green"/ },
  };
  for (const [name, { filter, services, ignored }] of Object.entries(lists)) {
    test(`${name} chooses services, and tells why the others are ignored`, () =>
      withWatch(filter, async (watch) => {
        const list = await watch.until("services");
        assert.deepEqual([...list.services], services);
        const others = ["web", "api-v2"].filter((service) => !services.includes(service));
        for (const service of others) assert.match(list.ignored.get(service) ?? "", ignored);
      }));
  }

  const choices: Record<string, { value: ConsulInit; ids: string[] }> = {
    "passing is the default": { value: {}, ids: ["a", "b"] },
    "any takes those of which one check passes, except in maintenance": {
      value: { health: HealthPolicy.ANY },
      ids: ["a", "b", "c", "d"],
    },
    "minimum counts the node's checks too": {
      value: { health: HealthPolicy.MINIMUM, minPassing: 2 },
      ids: [],
    },
    "none takes all": { value: { health: HealthPolicy.NONE }, ids: ["a", "b", "c", "d", "e"] },
    "tags are wanted together": { value: { filter: { tags: ["blue", "v1"] } }, ids: ["a"] },
    "metadata has to be the same": { value: { filter: { metadata: { zone: "b" } } }, ids: ["b"] },
  };
  for (const [name, { value, ids }] of Object.entries(choices)) {
    test(`of instances, ${name}`, () =>
      withWatch({ ...value, filter: { allow: ["web"], ...value?.filter } } as ConsulInit, (watch) =>
        watch.untilIds("web", ids),
      ));
  }

  test("addresses: of the service, of the node, of a tag", async () => {
    const addressesOf = (value: ConsulInit, ids: string[]) => {
      const found: string[] = [];
      return withWatch(value, async (watch) => {
        await watch.untilIds("web", ids);
        for (const { address, port } of watch.instances("web") ?? []) found.push(`${address}:${port}`);
      }).then(() => found);
    };
    assert.deepEqual(await addressesOf({}, ["a", "b"]), ["127.0.0.1:81", "127.0.0.1:82"]);
    assert.deepEqual(await addressesOf({ addressChoice: AddressChoice.NODE }, ["a", "b"]), [
      "127.0.0.1:81",
      "127.0.0.1:82",
    ]);
    const tagged = { addressChoice: AddressChoice.TAGGED, taggedAddress: "wan" };
    assert.ok((await addressesOf(tagged, ["a", "b"])).includes("192.0.2.1:9000"));
  });

  test("weights: of the service, and of the metadata where it has one", () =>
    withWatch({ weightMetadata: "weight" }, async (watch) => {
      await watch.untilIds("web", ["a", "b"]);
      assert.deepEqual(
        watch.instances("web")?.map(({ id, weight }) => `${id} ${weight}`),
        ["a 7", "b 3"],
      );
    }));

  test("HTTPS with authority, client certificate and server name", () =>
    withWatch(
      {
        port: https,
        tls: {
          caCertificates: CA,
          clientCertificate: CERTIFICATE,
          clientKey: KEY,
          serverName: "test.invalid",
        },
      },
      (watch) => watch.untilIds("web", ["a", "b"]),
    ));

  const failures: Record<string, ConsulInit> = {
    "an authority that is not known": { tls: { clientCertificate: CERTIFICATE, clientKey: KEY } },
    "no client certificate": { tls: { caCertificates: CA, serverName: "test.invalid" } },
    "another server name": {
      tls: {
        caCertificates: CA,
        clientCertificate: CERTIFICATE,
        clientKey: KEY,
        serverName: "other.invalid",
      },
    },
  };
  for (const [name, value] of Object.entries(failures)) {
    test(`HTTPS refuses ${name}`, () =>
      withWatch({ port: https, ...value }, async (watch) => {
        await watch.until("failure");
        assert.equal(watch.services, undefined);
      }));
  }

  test("another datacenter is asked for", () =>
    withWatch({ datacenter: "dc1" }, (watch) => watch.untilIds("web", ["a", "b"])));

  test("a datacenter that is not there is a failure that says so", () =>
    withWatch({ datacenter: "nowhere" }, async (watch) => {
      const { error } = await watch.until("failure");
      assert.match(error.message, /datacenter|No path/i);
    }));
});
