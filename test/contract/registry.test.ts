import { CONSUL_DEFAULTS, createConsulRegistry } from "../../src/discovery/consul/registry.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { startConsul } from "../support/consul.ts";
import { plainSettings } from "../support/consul-settings.ts";
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
