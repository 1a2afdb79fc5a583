/** Names are no longer than a line of a configuration. */
const MAX_NAME = 2_048;

/** What HAProxy allows in names of proxies and servers, as an error says it. */
export const HAPROXY_NAME = `is made of A-Z a-z 0-9 . _ : and - only, at most ${MAX_NAME} of them`;

/** True for what HAProxy allows as the name of a proxy or server. */
export function isHaproxyName(name: string): boolean {
  return name.length <= MAX_NAME && /^[A-Za-z0-9._:-]+$/.test(name);
}
