import { create } from "@bufbuild/protobuf";
import { Observe, OnError, type Server, ServerSchema } from "../../gen/haplane/config/v1/server_pb.js";
import { ServerVerify } from "../../gen/haplane/config/v1/tls_pb.js";

/**
 * A parser of server lines as one would write it by hand: the yardstick for the codec that is compiled from the descriptors. It knows
 * what the lines of the benchmark hold and a little more, and gives the same messages. `empty` makes one to fill.
 */
export function parseServer(empty: () => Server, words: readonly { readonly value: string }[]): Server {
  const server = empty();
  server.name = words[1]!.value;
  const address = words[2]!.value;
  const colon = address.lastIndexOf(":");
  if (colon > 0 && !address.startsWith("/")) {
    server.address = address.slice(0, colon);
    server.port = number(address.slice(colon + 1), 65535);
  } else server.address = address;
  let at = 3;
  while (at < words.length) {
    switch (words[at++]!.value) {
      case "check":
        once(server.check);
        server.check = true;
        break;
      case "no-check":
        once(server.check);
        server.check = false;
        break;
      case "backup":
        once(server.backup);
        server.backup = true;
        break;
      case "disabled":
        once(server.disabled);
        server.disabled = true;
        break;
      case "inter":
        once(server.inter);
        server.inter = text(words[at++]);
        break;
      case "fastinter":
        once(server.fastinter);
        server.fastinter = text(words[at++]);
        break;
      case "rise":
        once(server.rise);
        server.rise = number(words[at++]?.value, MAX);
        break;
      case "fall":
        once(server.fall);
        server.fall = number(words[at++]?.value, MAX);
        break;
      case "weight":
        once(server.weight);
        server.weight = number(words[at++]?.value, MAX);
        break;
      case "maxconn":
        once(server.maxconn);
        server.maxconn = number(words[at++]?.value, MAX);
        break;
      case "cookie":
        once(server.cookie);
        server.cookie = text(words[at++]);
        break;
      case "ssl":
        once(server.ssl);
        server.ssl = true;
        break;
      case "verify": {
        once(server.verify);
        const verify = VERIFY[text(words[at++])];
        if (verify === undefined) throw new Error("verify");
        server.verify = verify;
        break;
      }
      case "observe":
        once(server.observe);
        server.observe = words[at++]?.value === "layer4" ? Observe.LAYER4 : Observe.LAYER7;
        break;
      case "on-error":
        once(server.onError);
        server.onError = words[at++]?.value === "mark-down" ? OnError.MARK_DOWN : OnError.FASTINTER;
        break;
      case "ca-file":
        once(server.caFile);
        server.caFile = text(words[at++]);
        break;
      case "sni":
        once(server.sni);
        server.sni = text(words[at++]);
        break;
      case "alpn":
        if (server.alpn.length > 0) throw new Error("twice");
        server.alpn = text(words[at++]).split(",");
        if (server.alpn.includes("")) throw new Error("alpn");
        break;
      default:
        server.unmodelledWords.push(words[at - 1]!.value);
    }
  }
  return server;
}

const MAX = 0xffffffff;
const VERIFY: Readonly<Record<string, ServerVerify>> = {
  none: ServerVerify.NONE,
  required: ServerVerify.REQUIRED,
};

/** An empty message made by the library. */
export const createdServer = (): Server => create(ServerSchema);

/** The same as a literal, which is as fast as it gets, and has to be kept in step with the proto. */
export function literalServer(): Server {
  return {
    $typeName: "haplane.config.v1.Server",
    name: "",
    address: "",
    checkAlpn: [],
    checkViaSocks4: false,
    initAddr: [],
    resolveNet: [],
    resolveOpts: [],
    alpn: [],
    forceSslv3: false,
    forceTlsv10: false,
    forceTlsv11: false,
    forceTlsv12: false,
    forceTlsv13: false,
    noSslv3: false,
    noTlsv10: false,
    noTlsv11: false,
    noTlsv12: false,
    noTlsv13: false,
    allow0rtt: false,
    npn: [],
    proxyV2Options: [],
    setProxyV2TlvFmt: [],
    strictMaxconn: false,
    unmodelledWords: [],
  };
}

function once(value: unknown): void {
  if (value !== undefined) throw new Error("twice");
}

function text(word: { readonly value: string } | undefined): string {
  if (word === undefined || word.value === "") throw new Error("empty");
  return word.value;
}

/** Decimal digits that are written back as they are. */
function number(word: string | undefined, max: number): number {
  const value = Number(word);
  if (!(value >= 0 && value <= max) || !Number.isInteger(value) || String(value) !== word)
    throw new Error("number");
  return value;
}
