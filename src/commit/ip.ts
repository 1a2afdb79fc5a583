import { isIP } from "node:net";

/** Whether two IP addresses are the same: HAProxy prints an IPv6 address in its shortest form, whatever the file says. */
export function sameIp(a: string, b: string): boolean {
  return a === b || (isIP(a) === 6 && isIP(b) === 6 && canonical(a) === canonical(b));
}

function canonical(ip: string): string {
  return new URL(`http://[${ip}]`).hostname;
}
