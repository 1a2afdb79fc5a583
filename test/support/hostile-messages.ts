import {
  create,
  type DescEnum,
  type DescField,
  type DescMessage,
  type Message,
  ScalarType,
} from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";

/** Numbers from 0 up to 1, the same for the same seed. */
export type Random = () => number;

/** Makes a source of numbers from a seed (mulberry32). */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** The first word of a line or command that nobody writes but who breaks out of a value. */
export const INJECTED = "injected-by-fuzzer";

const HOSTILE: readonly string[] = [
  ...[
    "",
    " ",
    "\0",
    "a\0b",
    "\n",
    "\r\n",
    "\t",
    "\u2028",
    "\ufeff",
    "\ud7ff",
    "é",
    "🙂",
    "%",
    "%00",
    "%0a",
    "%2f..%2f",
    "\\",
    '"',
    "'",
    "#",
  ],
  ...[
    `a\n${INJECTED} b`,
    `a\r\n  ${INJECTED} b`,
    `a;${INJECTED}`,
    `a\\\n${INJECTED}`,
    `"\n${INJECTED} "`,
    `a\r${INJECTED}`,
  ],
  ...[
    `x <<\n${INJECTED}\n\n`,
    `x\n\n${INJECTED}`,
    `$(${INJECTED})`,
    `\`${INJECTED}\``,
    `|${INJECTED}`,
    `a # b\n${INJECTED}`,
  ],
  ...[
    "..",
    "../..",
    "../../canary",
    "/etc/passwd",
    "a/../../canary",
    "./canary",
    "~/canary",
    ".hidden",
    "con",
    "a".repeat(300),
    "b".repeat(9_000),
  ],
  ...[
    "${HOME}",
    '"${HOME}"',
    "%[src]",
    "%[env(HOME)]",
    "{ true }",
    "if TRUE",
    "unless FALSE",
    "# comment",
    ".if 1",
    "include x",
  ],
  ...[
    "__proto__",
    "constructor",
    "toString",
    "hasOwnProperty",
    "-1",
    "0",
    "NaN",
    "1e999",
    "true",
    "null",
    "*",
    "-",
    "@1",
    "@@",
    "backends/",
    "//",
    "a//b",
  ],
];

const NEAR: readonly string[] = [
  ...[
    "backends/site",
    "backends/site/servers/one",
    "backends/-",
    "backends/site/servers/-",
    "frontends/main",
    "frontends/main/binds/@:0",
  ],
  ...[
    "backends/none",
    "defaults/@1",
    "userlists/ops",
    "transactions/1",
    "revisions/1",
    "revisions/999999",
    "reloads/1",
    "sources/local",
    "services/x",
  ],
  ...[
    "files/map/hosts.map",
    "files/general/a.txt",
    "files/map/../a",
    "spoe/agent.conf",
    "spoe/agent.conf/scopes/one",
    "hosts.map",
    "site.pem",
    "agent.conf",
  ],
  ...[
    "site",
    "one",
    "main",
    "haproxy.cfg",
    "1s",
    "10ms",
    "100%",
    "http",
    "tcp",
    "roundrobin",
    "path_beg /a",
    "GET /",
    "200",
    "application/json",
    "name",
    "weight",
  ],
];

/** Where servers and registries are said to be: nothing is to leave this machine. */
const ADDRESSES: readonly string[] = [
  "127.0.0.1",
  "::1",
  "127.0.0.1:1",
  "unix@/nowhere",
  "",
  "\n",
  "127.0.0.1\n",
  "127.0.0.1 check",
];

/** How deep messages are nested; the schema itself goes on for ever in places. */
const MAX_DEPTH = 5;

/** Makes a message of any type: half of it as it should be, the rest as nobody should send it. The same for the same numbers. */
export function hostileMessage(desc: DescMessage, random: Random, depth = 0): Message {
  const message = reflect(desc, create(desc));
  const share = depth === 0 ? 0.7 : depth < 3 ? 0.35 : 0.15;
  for (const field of desc.fields) {
    if (random() > share || (depth >= MAX_DEPTH && field.message !== undefined)) continue;
    if (field.fieldKind === "list") {
      const list = message.get(field);
      const count = random() < 0.02 ? 200 : 1 + Math.floor(random() * 3);
      for (let n = 0; n < count; n += 1) list.add(valueFor(field, random, depth));
    } else if (field.fieldKind === "map") {
      message.get(field).set(mapKey(field.mapKey, random), valueFor(field, random, depth));
    } else message.set(field, valueFor(field, random, depth) as never);
  }
  return message.message;
}

function valueFor(field: DescField, random: Random, depth: number): never {
  if (field.message !== undefined)
    return reflect(field.message, hostileMessage(field.message, random, depth + 1)) as never;
  if (field.enum !== undefined) return enumValue(field.enum, random) as never;
  return scalarValue(field.scalar ?? ScalarType.STRING, field.name, random) as never;
}

function enumValue({ values }: DescEnum, random: Random): number {
  return random() < 0.1 ? 12_345 : (pick(values, random)?.number ?? 0);
}

function mapKey(type: ScalarType, random: Random): never {
  return (type === ScalarType.STRING ? text("key", random) : 1) as never;
}

function scalarValue(type: ScalarType, name: string, random: Random): unknown {
  switch (type) {
    case ScalarType.STRING:
      return text(name, random);
    case ScalarType.BYTES:
      return Buffer.from(
        random() < 0.5 ? text(name, random) : Buffer.alloc(Math.floor(random() * 2_000), random() * 256),
      );
    case ScalarType.BOOL:
      return random() < 0.5;
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return pick([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY], random);
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return pick([0n, 1n, -1n, 2n ** 63n - 1n, -(2n ** 63n), 4_096n], random);
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return pick([0n, 1n, 2n ** 64n - 1n, 4_096n], random);
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return pick([0, 1, 80, 256, 65_536, 4_294_967_295], random);
    default:
      return pick([0, 1, -1, 80, 256, 2_147_483_647, -2_147_483_648], random);
  }
}

function text(name: string, random: Random): string {
  if (/address|host|fqdn|uri|url|dns|servers?$/.test(name)) return pick(ADDRESSES, random);
  const kind = random();
  if (kind < 0.45) return pick(NEAR, random);
  if (kind < 0.85) return pick(HOSTILE, random);
  return pick(NEAR, random) + pick(HOSTILE, random);
}

function pick<T>(items: readonly T[], random: Random): T {
  return items[Math.floor(random() * items.length)]!;
}
