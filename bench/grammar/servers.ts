/** A line as fleets have it: an address, checks, TLS and an SNI. */
function serverLine(name: string, index: number): string {
  const address = `10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`;
  return `    server ${name} ${address}:8443 check inter 2s rise 3 fall 2 weight ${1 + (index % 100)} maxconn 500 ssl verify none sni req.hdr(host) alpn h2,http/1.1\n`;
}

/** Configuration text with `servers` servers, `perBackend` of them in each backend. Server `i` is named `s<i>`. */
export function serversText(servers: number, perBackend: number): string {
  const lines = ["global\n    maxconn 100000\n\ndefaults\n    mode http\n    timeout connect 5s\n"];
  for (let index = 0; index < servers; index++) {
    if (index % perBackend === 0)
      lines.push(
        `\n# Service ${index / perBackend}.\nbackend b${index / perBackend}\n    balance roundrobin\n`,
      );
    lines.push(serverLine(`s${index}`, index));
  }
  return lines.join("");
}
