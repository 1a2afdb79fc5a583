/** A section of name servers (management guide, section 9.3, `show resolvers`). */
export interface RunningResolvers {
  readonly name: string;
  readonly nameservers: readonly {
    readonly name: string;
    readonly counters: Readonly<Record<string, bigint>>;
  }[];
}

/** Reads the answer to `show resolvers`. */
export function parseResolvers(answer: string): RunningResolvers[] {
  const sections: { name: string; nameservers: { name: string; counters: Record<string, bigint> }[] }[] = [];
  for (const line of answer.split("\n")) {
    const section = /^Resolvers section (.+)$/.exec(line)?.[1];
    const nameserver = /^ nameserver (.+):$/.exec(line)?.[1];
    const [, counter, value] = /^ {2}(\w+): *(\d+)$/.exec(line) ?? [];
    if (section !== undefined) sections.push({ name: section, nameservers: [] });
    else if (nameserver !== undefined) sections.at(-1)?.nameservers.push({ name: nameserver, counters: {} });
    else if (counter !== undefined) {
      const last = sections.at(-1)?.nameservers.at(-1);
      if (last !== undefined) last.counters[counter] = BigInt(value as string);
    }
  }
  return sections;
}
