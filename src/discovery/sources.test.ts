import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { create, type MessageInitShape, toJsonString } from "@bufbuild/protobuf";
import {
  type AddressChoice,
  type ConsulRegistry,
  CreateSourceRequestSchema,
  DeleteSourceRequestSchema,
  DnsRecords,
  type HealthPolicy,
  type Source,
  SourceSchema,
  SourceState,
  UpdateSourceRequestSchema,
} from "../../gen/haplane/v1/service_discovery_pb.js";
import { backendOf, type Discovery, startDiscovery } from "../../test/support/discovery.ts";
import { instance } from "../../test/support/scripted-registry.ts";
import type { DomainError } from "../lib/errors.ts";

const WEB = backendOf("web");

type Create = MessageInitShape<typeof CreateSourceRequestSchema>;
type Update = MessageInitShape<typeof UpdateSourceRequestSchema>;

function consul(
  value: Extract<NonNullable<MessageInitShape<typeof SourceSchema>["registry"]>, { case: "consul" }>["value"],
) {
  return { case: "consul", value } as const;
}

/** What is told of a source's Consul. */
function consulOf({ registry }: Source): ConsulRegistry | undefined {
  return registry.case === "consul" ? registry.value : undefined;
}

const here = consul({ address: "127.0.0.1" });

function refusedFields(fields: readonly string[]) {
  return (error: DomainError) => {
    assert.equal(error.reason, "FIELD_INVALID");
    assert.deepEqual(
      error.violations.map(({ field }) => field),
      fields,
    );
    return true;
  };
}

function creation(request: Create) {
  return create(CreateSourceRequestSchema, request);
}

function updating({ sources }: Discovery, request: Update): Promise<Source> {
  return sources.update(create(UpdateSourceRequestSchema, request));
}

describe("create", () => {
  test("fills in defaults, tells that a token is set and never which, and starts", async () => {
    const { sources, registry, changes } = await startDiscovery();
    const source = await sources.create(
      creation({
        sourceId: "main",
        source: { description: "all of it", registry: consul({ address: "10.0.0.5", token: "secret" }) },
      }),
    );
    assert.equal(source.name, "sources/main");
    assert.equal(source.enabled, true);
    assert.equal(source.retryTimeout?.seconds, 1n);
    const { port, token, tokenSet } = consulOf(source) ?? {};
    assert.deepEqual({ port, token, tokenSet }, { port: 8500, token: "", tokenSet: true });
    assert.notEqual(source.etag, "");
    assert.equal(source.status?.state, SourceState.STARTING);
    assert.equal(registry.watches, 1);
    assert.deepEqual(sources.get("sources/main"), source);
    assert.deepEqual(changes, [{ type: "added", source }]);
    for (const told of [source, ...sources.list(), ...changes.map((change) => change.source)]) {
      assert.doesNotMatch(toJsonString(SourceSchema, told), /secret/);
    }
  });

  const refusals: Record<string, { request: Create; fields: string[] }> = {
    "no source": { request: { sourceId: "s" }, fields: ["source"] },
    "no name": { request: { source: { registry: here } }, fields: ["source_id"] },
    "a bad id": { request: { sourceId: "S!", source: { registry: here } }, fields: ["source_id"] },
    "an id that is too long": {
      request: { sourceId: "a".repeat(64), source: { registry: here } },
      fields: ["source_id"],
    },
    "a name that is not the id's": {
      request: { sourceId: "s", source: { name: "sources/t", registry: here } },
      fields: ["source.name"],
    },
    "a bad name": { request: { source: { name: "s", registry: here } }, fields: ["source.name"] },
    "no registry": { request: { sourceId: "s", source: {} }, fields: ["source.consul"] },
    "settings that cannot be": {
      request: {
        sourceId: "s",
        source: {
          backendName: "x-{address}",
          acceptLossAfter: { seconds: 86_401n },
          lossPercent: 101,
          registry: consul({
            ...{
              address: "h",
              datacenter: "a b",
              namespace: "a/b",
              partition: "?",
              health: 9 as HealthPolicy,
              minPassing: 1,
            },
            ...{ addressChoice: 9 as AddressChoice, taggedAddress: "wan", weightMetadata: "k".repeat(513) },
            filter: {
              allow: [""],
              deny: ["d".repeat(513)],
              namePattern: "(",
              tags: [""],
              metadata: { "": "v" },
            },
            tls: { caCertificates: "no", clientCertificate: "no", clientKey: "no", serverName: "a b" },
          }),
        },
      },
      fields: [
        ...["datacenter", "namespace", "partition"].map((field) => `source.consul.${field}`),
        ...["ca_certificates", "client_certificate", "client_key", "server_name"].map(
          (field) => `source.consul.tls.${field}`,
        ),
        ...["allow", "deny", "name_pattern", "tags", "metadata"].map(
          (field) => `source.consul.filter.${field}`,
        ),
        ...["health", "min_passing", "address_choice", "tagged_address", "weight_metadata"].map(
          (field) => `source.consul.${field}`,
        ),
        ...["backend_name", "accept_loss_after", "loss_percent"].map((field) => `source.${field}`),
      ],
    },
    "names in DNS that cannot be": {
      request: {
        sourceId: "s",
        source: {
          backendName: "x-{address}-{service}",
          registry: {
            case: "dns",
            value: {
              servers: ["localhost", "::1%lo", "1.2.3.4:0", "[::1]:53", "10.0.0.1"],
              names: [
                { service: "", name: "a b" },
                { service: "a", name: "a", port: 1 },
                { service: "a", name: "a", records: DnsRecords.A },
              ],
              interval: { nanos: 1 },
            },
          },
        },
      },
      fields: [
        ...[0, 1, 2].map((index) => `source.dns.servers[${index}]`),
        ...["[0].service", "[0].name", "[1].port", "[2].service", "[2].port"].map(
          (part) => `source.dns.names${part}`,
        ),
        ...["dns.interval", "backend_name"].map((field) => `source.${field}`),
      ],
    },
    "everything wrong": {
      request: {
        sourceId: "s",
        source: {
          description: "d".repeat(1_025),
          registry: consul({ address: "http://consul", port: 0, token: "a b" }),
          retryTimeout: { nanos: 99_000_000 },
        },
      },
      fields: [
        "source.description",
        "source.consul.address",
        "source.consul.port",
        "source.consul.token",
        "source.retry_timeout",
      ],
    },
  };
  for (const [name, { request, fields }] of Object.entries(refusals)) {
    test(`refuses ${name}`, async () => {
      const { sources, store } = await startDiscovery();
      await assert.rejects(sources.create(creation(request)), refusedFields(fields));
      assert.equal(store.kept.size, 0);
    });
  }

  const addresses: Record<string, boolean> = {
    "consul.service.internal": true,
    "consul-1": true,
    "10.0.0.1": true,
    "2001:db8::1": true,
    "::1": true,
    "[::1]": false,
    "fe80::1%eth0": false,
    "": false,
    "a b": false,
    "a/b": false,
    "a:8500": false,
    "-a": false,
    "a..b": false,
    "a\n": false,
  };
  for (const [address, isGood] of Object.entries(addresses)) {
    test(`${isGood ? "takes" : "refuses"} the address ${JSON.stringify(address)}`, async () => {
      const { sources } = await startDiscovery();
      const created = sources.create(creation({ sourceId: "s", source: { registry: consul({ address }) } }));
      if (isGood) await created;
      else await assert.rejects(created, refusedFields(["source.consul.address"]));
    });
  }

  test("refuses a further address that is none", async () => {
    const { createSource } = await startDiscovery();
    await assert.rejects(
      createSource({
        registry: { case: "consul", value: { address: "h", moreAddresses: ["fine", "http://x"] } },
      }),
      (error: DomainError) => error.violations?.[0]?.field === "source.consul.more_addresses[1]",
    );
  });

  test("refuses a name that is taken, and a registry that another source watches", async () => {
    const { sources, createSource } = await startDiscovery();
    await createSource();
    await assert.rejects(createSource({ registry: consul({ address: "10.0.0.1" }) }), {
      reason: "RESOURCE_EXISTS",
      resource: { type: "source", name: "sources/s" },
    });
    await assert.rejects(sources.create(creation({ sourceId: "t", source: { registry: here } })), {
      reason: "RESOURCE_EXISTS",
      message: /sources\/s watches/,
    });
    await sources.create(
      creation({ sourceId: "t", source: { registry: consul({ address: "127.0.0.1", port: 8501 }) } }),
    );
    assert.deepEqual(
      sources.list().map(({ name }) => name),
      ["sources/s", "sources/t"],
    );
  });

  test("starts nothing that could not be kept", async () => {
    const { createSource, store, sources, registry } = await startDiscovery();
    store.put = async () => {
      throw new Error("the disk is full");
    };
    await assert.rejects(createSource(), /the disk is full/);
    assert.equal(registry.watches, 0);
    assert.deepEqual(sources.list(), []);
  });

  test("a disabled source watches nothing until it is enabled", async () => {
    const discovery = await startDiscovery();
    await discovery.createSource({ enabled: false });
    assert.equal(discovery.state(), "DISABLED");
    assert.equal(discovery.registry.watches, 0);
    await updating(discovery, { source: { name: "sources/s", enabled: true } });
    assert.equal(discovery.registry.watches, 1);
  });
});

describe("update", () => {
  const before = { description: "old", retryTimeout: { seconds: 5n } };
  const cases: Record<
    string,
    { source: MessageInitShape<typeof SourceSchema>; mask?: string[]; after: object }
  > = {
    "without a mask takes what is set": {
      source: { description: "new", enabled: false },
      after: { description: "new", enabled: false, seconds: 5n, tokenSet: true },
    },
    "without a mask leaves what is not": {
      source: { retryTimeout: { seconds: 2n } },
      after: { description: "old", enabled: true, seconds: 2n, tokenSet: true },
    },
    "takes only what the mask names": {
      source: { description: "new", enabled: false, retryTimeout: { seconds: 2n } },
      mask: ["enabled"],
      after: { description: "old", enabled: false, seconds: 5n, tokenSet: true },
    },
    "clears what the mask names and the source does not set": {
      source: {},
      mask: ["description", "retry_timeout", "consul.token"],
      after: { description: "", enabled: true, seconds: 1n, tokenSet: false },
    },
    "with * takes everything, but keeps a token that is not set": {
      source: { description: "new" },
      mask: ["*"],
      after: { description: "new", enabled: true, seconds: 1n, tokenSet: true },
    },
    "with consul keeps a token that is not set": {
      source: { registry: here },
      mask: ["consul"],
      after: { description: "old", enabled: true, seconds: 5n, tokenSet: true },
    },
  };
  for (const [name, { source, mask, after }] of Object.entries(cases)) {
    test(name, async () => {
      const discovery = await startDiscovery();
      await discovery.createSource(before);
      const updated = await updating(discovery, {
        source: { name: "sources/s", ...source },
        ...(mask === undefined ? {} : { updateMask: { paths: mask } }),
      });
      const { description, enabled, retryTimeout } = updated;
      const found = {
        description,
        enabled,
        seconds: retryTimeout?.seconds,
        tokenSet: consulOf(updated)?.tokenSet,
      };
      assert.deepEqual(found, after);
      assert.deepEqual(discovery.sources.get("sources/s"), updated);
    });
  }

  const refusals: Record<string, { request: Update; fields: string[] }> = {
    "no source": { request: {}, fields: ["source"] },
    "another backend name": {
      request: { source: { name: "sources/s", backendName: "{service}" } },
      fields: ["source.backend_name"],
    },
    "another address or port": {
      request: { source: { name: "sources/s", registry: consul({ address: "10.0.0.1", port: 1 }) } },
      fields: ["source.consul.address", "source.consul.port"],
    },
    "fields that are output only, or unknown": {
      request: { source: { name: "sources/s" }, updateMask: { paths: ["status", "etag", "nonsense"] } },
      fields: ["update_mask", "update_mask", "update_mask"],
    },
    "a bad value": {
      request: { source: { name: "sources/s", retryTimeout: { seconds: 301n } } },
      fields: ["source.retry_timeout"],
    },
  };
  for (const [name, { request, fields }] of Object.entries(refusals)) {
    test(`refuses ${name}`, async () => {
      const discovery = await startDiscovery();
      const { etag } = await discovery.createSource();
      await assert.rejects(updating(discovery, request), refusedFields(fields));
      assert.equal(discovery.sources.get("sources/s").etag, etag);
    });
  }

  test("changes a filter as a whole, a part of it, and takes it away", async () => {
    const discovery = await startDiscovery();
    await discovery.createSource();
    const filterAfter = async (value: Parameters<typeof consul>[0], ...paths: string[]) => {
      const source = { name: "sources/s", registry: consul(value) };
      const updated = await updating(discovery, { source, updateMask: { paths } });
      const { allow, deny } = consulOf(updated)?.filter ?? {};
      return { allow, deny };
    };
    const filter = { allow: ["a"], deny: ["b"] };
    assert.deepEqual(await filterAfter({ filter }, "consul.filter"), filter);
    assert.deepEqual(await filterAfter({ filter: { deny: ["c"] } }, "consul.filter.deny"), {
      allow: ["a"],
      deny: ["c"],
    });
    assert.deepEqual(await filterAfter({ filter: { allow: ["d"] } }, "consul.filter"), {
      allow: ["d"],
      deny: [],
    });
    assert.deepEqual(await filterAfter({}, "consul.filter"), { allow: undefined, deny: undefined });
  });

  test("a client key is never told, kept by an update without it, and gone with the rest of TLS", async () => {
    const discovery = await startDiscovery();
    const files = join(import.meta.dirname, "../../test/conformance/files/cert.pem");
    const pem = await readFile(files, "utf8");
    const tls = { clientCertificate: pem, clientKey: pem };
    const created = await discovery.createSource({ registry: consul({ address: "h", tls }) });
    assert.equal(consulOf(created)?.tls?.clientKeySet, true);
    assert.equal(consulOf(created)?.tls?.clientKey, "");
    const change = async (value: Parameters<typeof consul>[0], ...paths: string[]) => {
      const source = { name: "sources/s", registry: consul(value) };
      return consulOf(await updating(discovery, { source, updateMask: { paths } }))?.tls;
    };
    const renamed = await change({ tls: { clientCertificate: pem, serverName: "n" } }, "consul.tls");
    assert.deepEqual([renamed?.clientKeySet, renamed?.serverName], [true, "n"]);
    assert.equal(await change({}, "consul.tls"), undefined);
  });

  test("the etag changes with a setting and not with the status, and a former one is refused", async () => {
    const discovery = await startDiscovery();
    const { etag } = await discovery.createSource();
    discovery.registry.list({ web: [instance("a")] });
    await discovery.pass(50);
    assert.equal(discovery.sources.get("sources/s").etag, etag);
    const updated = await updating(discovery, { source: { name: "sources/s", etag, description: "new" } });
    assert.notEqual(updated.etag, etag);
    await assert.rejects(updating(discovery, { source: { name: "sources/s", etag, description: "newer" } }), {
      reason: "ETAG_MISMATCH",
      metadata: { sent: etag, current: updated.etag },
    });
    await assert.rejects(updating(discovery, { source: { name: "sources/none" } }), {
      reason: "RESOURCE_NOT_FOUND",
    });
  });

  test("of token, retry time or enabled goes on without emptying anything", async () => {
    const discovery = await startDiscovery();
    await discovery.createSource();
    const { registry, target } = discovery;
    registry.list({ web: [instance("a"), instance("b")] });
    await discovery.pass(50);
    target.sent.length = 0;
    await updating(discovery, { source: { name: "sources/s", registry: consul({ token: "other" }) } });
    await updating(discovery, { source: { name: "sources/s", retryTimeout: { seconds: 2n } } });
    await updating(discovery, { source: { name: "sources/s", enabled: false } });
    assert.equal(discovery.state(), "DISABLED");
    assert.equal(registry.watches, 0);
    await updating(discovery, { source: { name: "sources/s", enabled: true } });
    assert.equal(registry.watches, 1);
    assert.deepEqual(target.sent, []);
    registry.list({ web: [instance("a"), instance("b"), instance("c")] });
    await discovery.settle();
    assert.deepEqual(target.names(WEB), ["n-a", "n-b", "n-c"]);
    assert.equal(discovery.state(), "SYNCED");
  });

  test("of the description leaves the watch alone", async () => {
    const discovery = await startDiscovery();
    await discovery.createSource();
    await updating(discovery, { source: { name: "sources/s", description: "new" } });
    assert.equal(discovery.registry.resumed.length, 1);
  });

  test("that cannot be kept changes nothing", async () => {
    const discovery = await startDiscovery();
    await discovery.createSource({ description: "old" });
    discovery.store.put = async () => {
      throw new Error("the disk is full");
    };
    await assert.rejects(updating(discovery, { source: { name: "sources/s", enabled: false } }), /full/);
    assert.equal(discovery.sources.get("sources/s").enabled, true);
    assert.equal(discovery.registry.watches, 1);
  });
});

describe("delete", () => {
  const request = (init: MessageInitShape<typeof DeleteSourceRequestSchema>) =>
    create(DeleteSourceRequestSchema, init);

  test("ends the watch at once, leaves the backends, and the source can be created again", async () => {
    const discovery = await startDiscovery();
    await discovery.createSource();
    const { registry, target, sources, store } = discovery;
    registry.list({ web: [instance("a"), instance("b"), instance("c")] });
    await discovery.pass(50);
    target.sent.length = 0;
    await sources.delete(request({ name: "sources/s" }));
    assert.equal(registry.watches, 0, "no watch is left");
    assert.throws(() => sources.get("sources/s"), { reason: "RESOURCE_NOT_FOUND" });
    assert.equal(discovery.changes.at(-1)?.type, "removed");
    registry.list({ web: [] });
    await discovery.pass(60_000);
    assert.deepEqual(target.sent, []);
    assert.equal(store.kept.size, 0, "and is not kept again by a late write");
    assert.equal(discovery.clock.pending, 0, "no timer is left");

    await discovery.createSource();
    registry.list({ web: [instance("a"), instance("b"), instance("d")] });
    await discovery.settle();
    assert.deepEqual(target.names(WEB), ["n-a", "n-b", "n-d"]);
  });

  test("with prune lets other writes go on, but a source that would have the same backends begins when they are gone", async () => {
    const discovery = await startDiscovery();
    const { registry, target, sources } = discovery;
    const settings = (backendName: string) => ({
      ...{ backendName, registry: { case: "consul" as const, value: { address: "127.0.0.1" } } },
    });
    const creation = (sourceId: string, backendName: string) =>
      sources.create(create(CreateSourceRequestSchema, { sourceId, source: settings(backendName) }));
    await creation("a", "a-{service}");
    await creation("b", "b-{service}");
    registry.list({ web: [instance("x")] });
    await discovery.pass(50);
    assert.deepEqual([...target.backends.keys()].sort(), ["a-web", "b-web"]);

    target.holdRemovals = true;
    target.sent.length = 0;
    const deletions = ["a", "b"].map((id) => sources.delete(request({ name: `sources/${id}`, prune: true })));
    await creation("c", "c-{service}");
    assert.deepEqual(
      target.sent.map(({ kind }) => kind),
      ["removal", "removal"],
    );
    let isThere = false;
    const again = creation("z", "a-{service}").then(() => {
      isThere = true;
    });
    await discovery.settle();
    assert.equal(isThere, false);
    target.release();
    assert.deepEqual(await Promise.all(deletions), [[], []]);
    await again;
    registry.list({ web: [instance("x")] });
    await discovery.pass(50);
    assert.deepEqual([...target.backends.keys()].sort(), ["a-web", "c-web"]);
    assert.deepEqual(target.names("a-web"), ["n-x"]);
  });

  test("a server that is still leaving when its source is created again keeps its name and id", async () => {
    const discovery = await startDiscovery();
    await discovery.createSource();
    const { registry, target, sources } = discovery;
    registry.list({ web: [instance("a"), instance("b"), instance("c")] });
    await discovery.pass(50);
    target.holdBack = (changes) => changes.some(({ kind }) => kind === "remove");
    registry.instances("web", [instance("a"), instance("b")]);
    await sources.delete(request({ name: "sources/s" }));
    await discovery.createSource();
    registry.list({ web: [instance("a"), instance("b"), instance("c")] });
    await discovery.settle();
    const added = target.backends.get(WEB)?.find(({ name }) => name === "n-c::2");
    assert.equal(added?.id, 4);
  });

  test("checks the etag, and what is not there is an error unless it may be missing", async () => {
    const { sources, createSource } = await startDiscovery();
    const { etag } = await createSource();
    await assert.rejects(sources.delete(request({ name: "sources/s", etag: "other" })), {
      reason: "ETAG_MISMATCH",
    });
    await sources.delete(request({ name: "sources/s", etag }));
    await assert.rejects(sources.delete(request({ name: "sources/s" })), { reason: "RESOURCE_NOT_FOUND" });
    await sources.delete(request({ name: "sources/s", allowMissing: true }));
  });
});

test("two sources whose names run together do not share a backend", async () => {
  const { sources, registry, target, pass } = await startDiscovery();
  for (const [sourceId, address, port] of [
    ["one", "h", 80],
    ["two", "h-80", 80],
  ] as const) {
    await sources.create(creation({ sourceId, source: { registry: consul({ address, port }) } }));
  }
  // Both hear it: `h-80` has a service `80-x`, whose plain name is that of `x` at `h-80`.
  registry.list({ "80-x": [instance("a")], x: [instance("b")] });
  await pass(50);
  const names = [...target.backends.keys()].sort();
  assert.equal(names.length, 4);
  assert.deepEqual(target.names("consul-backend-h-80-80-x"), ["n-a"]);
  assert.deepEqual(
    names
      .filter((name) => /^consul-backend-h-80-80-x-[0-9a-f]{8}$/.test(name))
      .map((name) => target.names(name)),
    [["n-b"]],
  );
});

test("backends are called as the template says", async () => {
  const { createSource, registry, target, pass } = await startDiscovery();
  await createSource({ backendName: "{source}:{service}.{port}" });
  registry.list({ web: [instance("a")], "a/b": [instance("b")] });
  await pass(50);
  const [odd, plain] = [...target.backends.keys()].sort();
  assert.equal(plain, "s:web.8500");
  assert.match(odd ?? "", /^s:a-b-[0-9a-f]{8}\.8500$/);
});

test("new backends and servers are made as the source says, and leave in the time that it gives", async () => {
  const discovery = await startDiscovery();
  await discovery.createSource({
    ...{ defaults: "tuned", drainTime: { seconds: 5n } },
    serverTemplate: { check: true, inter: "2s", maxconn: 50, sni: "str(a b)" },
  });
  const { registry, target } = discovery;
  registry.list({ web: [instance("a"), instance("b"), instance("c")] });
  await discovery.pass(50);
  registry.instances("web", [instance("a"), instance("b"), instance("d")]);
  await discovery.settle();
  const options = ["maxconn", "50", "check", "inter", "2s", "sni", "str(a b)"];
  const [created, ...changes] = target.sent;
  assert.ok(created?.kind === "create");
  const [backend] = created.backends;
  assert.equal(backend?.defaults, "tuned");
  assert.deepEqual(backend?.servers[0]?.options, options);
  const sent = changes.flatMap((change) => (change.kind === "change" ? change.changes : []));
  assert.ok(sent.some((change) => change.kind === "add" && change.options?.join() === options.join()));
  assert.ok(sent.some((change) => change.kind === "remove" && change.drainMs === 5_000));
});

test("a template cannot say what is each server's own, nor what no server can have", async () => {
  const { createSource } = await startDiscovery();
  const serverTemplate = { name: "x", port: 1, weight: 2, tcpMd5sig: "s", inter: "soon" };
  await assert.rejects(
    createSource({ serverTemplate }),
    refusedFields(
      ["name", "port", "weight", "tcp_md5sig", "inter"].map((field) => `source.server_template.${field}`),
    ),
  );
});

test("a listener that leaves hears nothing more", async () => {
  const { sources, createSource } = await startDiscovery();
  let heard = 0;
  const leave = sources.subscribe(() => heard++);
  leave();
  await createSource();
  assert.equal(heard, 0);
});
