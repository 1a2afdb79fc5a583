/** How the configurations of tests begin that are about something else: a stats socket, and what every proxy needs. */
export function preamble(statsSocket: string): string {
  return `global
  stats socket ${statsSocket} mode 600 level admin expose-fd listeners
defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
`;
}
