/** Where something listens. */
export interface Address {
  readonly address: string;
  readonly port: number;
}

/** Where a server sends its connections, and how many of them. */
export interface Endpoint extends Address {
  readonly weight: number;
}

/** Where something listens, as a key. */
export function endpoint({ address, port }: Address): string {
  return `${address} ${port}`;
}
