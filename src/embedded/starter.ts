import { type Address, formatAddress } from "../lib/address.ts";

/** What the starter configuration is made for. */
export interface StarterOptions {
  /** Absolute path of the stats socket that HAProxy is to open. */
  readonly statsSocket: string;
  /** Absolute path of the file through which haplane tells a new worker the servers' states. */
  readonly stateFile: string;
  /** Where the frontend listens. */
  readonly http: Address;
  /** The Consul whose services the frontend routes to. */
  readonly consul: Address;
}

/** The haproxy.cfg that the first `npm start` writes. From then on it belongs to whoever edits it. */
export function starterConfiguration({ statsSocket, stateFile, http, consul }: StarterOptions): string {
  return `# Starter configuration of haplane. It is yours: edit it by hand or through the API, haplane keeps every line that it does not change itself.

global
    # haplane talks to the running HAProxy here.
    stats socket "${statsSocket}" mode 600 level admin expose-fd listeners
    # A connection of haplane may stay idle this long.
    stats timeout 1h
    # Through it a reload keeps drained servers drained, and those known to be down out of use.
    server-state-file "${stateFile}"
    # An old worker that still has connections after a reload ends here.
    hard-stop-after 10m
    log stdout format raw local0 notice

defaults
    mode http
    log global
    option httplog
    option dontlognull
    option redispatch
    load-server-state-from-file global
    retries 3
    timeout connect 3s
    timeout client 1m
    timeout server 1m
    timeout http-request 10s

# /SERVICE/… goes to the backend that haplane keeps for SERVICE, as soon as Consul knows it.
frontend main
    bind ${formatAddress(http)}
    use_backend consul-backend-${consul.host}-${consul.port}-%[path,field(2,/)]
    default_backend no-such-service

backend no-such-service
    http-request return status 404 content-type text/plain lf-string "No service of this name has a backend: %[path,field(2,/)]\\n"
`;
}
