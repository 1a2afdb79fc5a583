import { CONSUL_DEFAULTS, createConsulRegistry } from "../../src/discovery/consul/registry.ts";
import { createDnsRegistry } from "../../src/discovery/dns/registry.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { startConsul } from "../support/consul.ts";
import { plainSettings } from "../support/consul-settings.ts";
import { startDns } from "../support/dns-server.ts";
import { type ScriptedInstance, startScriptedConsul } from "../support/scripted-consul.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";
import { registryContract } from "./registry-contract.ts";

function adaptor({ address, port }: { address: string; port: number }) {
  return createConsulRegistry(plainSettings(address, port), { ...CONSUL_DEFAULTS, clock: systemClock });
}

registryContract("Consul", async () => {
  const consul = await startConsul();
  const proxy = await startTcpProxy(consul.port);
  return {
    registry: adaptor(proxy),
    register: (service, id, port, { isHealthy, weight } = {}) =>
      consul.register({
        service,
        id,
        port,
        ...(weight === undefined ? {} : { weight }),
        ...(isHealthy === undefined ? {} : { status: isHealthy ? "passing" : "critical" }),
      }),
    deregister: (_service, id) => consul.deregister(id),
    setHealthy: (_service, id, isHealthy) => consul.setStatus(id, isHealthy ? "passing" : "critical"),
    async interrupt() {
      proxy.cut();
      return async () => proxy.mend();
    },
    async stop() {
      await proxy.stop();
      await consul.stop();
    },
  };
});

registryContract("scripted HTTP server", async () => {
  const server = await startScriptedConsul();
  const services = new Map<string, ScriptedInstance[]>();

  function change(service: string, how: (instances: ScriptedInstance[]) => ScriptedInstance[]): void {
    const instances = how(services.get(service) ?? []);
    services.set(service, instances);
    server.set(service, instances.length === 0 ? undefined : instances);
  }

  return {
    registry: adaptor(server),
    async register(service, id, port, { isHealthy = true, weight = 1 } = {}) {
      const instance = {
        id,
        port,
        weight,
        address: "127.0.0.1",
        status: isHealthy ? "passing" : "critical",
      };
      change(service, (instances) => [...instances, instance]);
    },
    async deregister(service, id) {
      change(service, (instances) => instances.filter((instance) => instance.id !== id));
    },
    async setHealthy(service, id, isHealthy) {
      const status = isHealthy ? "passing" : "critical";
      change(service, (instances) =>
        instances.map((instance) => (instance.id === id ? { ...instance, status } : instance)),
      );
    },
    async interrupt() {
      server.misbehave((_request, response) => {
        response.destroy();
        return true;
      });
      server.disconnect();
      return async () => server.misbehave(undefined);
    },
    stop: () => server.stop(),
  };
});

registryContract("DNS", async () => {
  const dns = await startDns();
  const services = new Map<string, Map<string, { port: number; weight: number; isHealthy: boolean }>>();
  const names = ["web", "ill", "app", "strict", "end"].map(
    (service) => ({ service, name: `_${service}._tcp.test`, records: "SRV", port: 0 }) as const,
  );
  for (const id of ["a", "b"]) dns.set(`${id}.test`, [{ type: "A", address: "127.0.0.1" }]);

  /** An instance that is not healthy has no record; a service without instances has no name. */
  function publish(service: string): void {
    const instances = [...(services.get(service) ?? [])];
    const records = instances
      .filter(([, { isHealthy }]) => isHealthy)
      .map(
        ([id, { port, weight }]) =>
          ({ type: "SRV", target: `${id}.test`, port, weight, priority: 1 }) as const,
      );
    dns.set(`_${service}._tcp.test`, instances.length === 0 ? undefined : records);
  }

  return {
    registry: createDnsRegistry(
      { servers: [dns.address], names, intervalMs: 20, retry: { firstMs: 20, maxMs: 60 } },
      systemClock,
    ),
    hasIndex: false,
    idOf: (id, port) => `${id}.test:${port}`,
    async register(service, id, port, { isHealthy = true, weight = 1 } = {}) {
      const instances = services.get(service) ?? new Map();
      services.set(service, instances.set(id, { port, weight, isHealthy }));
      publish(service);
    },
    async deregister(service, id) {
      services.get(service)?.delete(id);
      publish(service);
    },
    async setHealthy(service, id, isHealthy) {
      const instance = services.get(service)?.get(id);
      if (instance !== undefined) instance.isHealthy = isHealthy;
      publish(service);
    },
    async interrupt() {
      dns.fail(2);
      return async () => dns.fail(undefined);
    },
    stop: () => dns.stop(),
  };
});
