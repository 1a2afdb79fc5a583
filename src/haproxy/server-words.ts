/** A server's parameters as `add server` takes them, and what has to follow as commands. */
export interface RuntimeServerWords {
  /** The words after the address, without those that only a file can say. */
  readonly words: readonly string[];
  /** `check` is on: `enable health` has to follow. */
  readonly check: boolean;
  /** `agent-check` is on: `enable agent` has to follow. */
  readonly agentCheck: boolean;
  /** The server is to begin in maintenance. */
  readonly disabled: boolean;
}

/** Parameters without a value (configuration manual, section 5.2); every other one takes one, `source` up to three. */
const FLAGS = new Set([
  "agent-check",
  "allow-0rtt",
  "backup",
  "check",
  "check-reuse-pool",
  "check-send-proxy",
  "check-ssl",
  "check-via-socks4",
  "disabled",
  "enabled",
  "force-sslv3",
  "force-tlsv10",
  "force-tlsv11",
  "force-tlsv12",
  "force-tlsv13",
  "no-agent-check",
  "no-backup",
  "no-check",
  "no-check-reuse-pool",
  "no-check-send-proxy",
  "no-check-ssl",
  "no-send-proxy",
  "no-send-proxy-v2",
  "no-send-proxy-v2-ssl",
  "no-send-proxy-v2-ssl-cn",
  "no-ssl",
  "no-ssl-reuse",
  "no-sslv3",
  "no-tfo",
  "no-tls-tickets",
  "no-tlsv10",
  "no-tlsv11",
  "no-tlsv12",
  "no-tlsv13",
  "non-stick",
  "send-proxy",
  "send-proxy-v2",
  "send-proxy-v2-ssl",
  "send-proxy-v2-ssl-cn",
  "ssl",
  "ssl-reuse",
  "stick",
  "strict-maxconn",
  "tfo",
  "tls-tickets",
]);

/** Words that only take an earlier one back. `add server` refuses them, so both are left out. */
const TAKES_BACK: Readonly<Record<string, string>> = {
  "no-agent-check": "agent-check",
  "no-check": "check",
  "no-check-reuse-pool": "check-reuse-pool",
  "no-check-send-proxy": "check-send-proxy",
  "no-check-ssl": "check-ssl",
  "no-send-proxy-v2-ssl": "send-proxy-v2-ssl",
  "no-send-proxy-v2-ssl-cn": "send-proxy-v2-ssl-cn",
  "no-ssl": "ssl",
  enabled: "disabled",
  "ssl-reuse": "no-ssl-reuse",
  stick: "non-stick",
};

/**
 * Resolves the words of `default-server` lines and of the server's own line, in that order, into what `add server` takes. A later word
 * wins over an earlier one as in the file; what a later word repeats is left out, to stay below the number
 * of words that HAProxy reads.
 */
export function resolveServerWords(words: readonly string[]): RuntimeServerWords {
  const parameters = new Map<string, readonly string[]>();
  for (const parameter of splitParameters(words)) {
    const [keyword = ""] = parameter;
    const takenBack = TAKES_BACK[keyword];
    if (takenBack !== undefined) {
      parameters.delete(takenBack);
      continue;
    }
    parameters.delete(keyword);
    parameters.set(keyword, parameter);
  }
  const disabled = parameters.delete("disabled");
  return {
    words: [...parameters.values()].flat(),
    check: parameters.has("check"),
    agentCheck: parameters.has("agent-check"),
    disabled,
  };
}

/** Groups words into a keyword with its values. */
export function splitParameters(words: readonly string[]): string[][] {
  const parameters: string[][] = [];
  for (let at = 0; at < words.length; ) {
    const keyword = words[at] as string;
    let length = FLAGS.has(keyword) ? 1 : 2;
    // `source ADDRESS [usesrc ADDRESS | interface NAME]`
    if (keyword === "source" && ["usesrc", "interface"].includes(words[at + 2] ?? "")) length = 4;
    parameters.push(words.slice(at, at + length));
    at += length;
  }
  return parameters;
}
