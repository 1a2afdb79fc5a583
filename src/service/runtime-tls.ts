import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type GetOcspResponseRequest,
  GetOcspResponseRequestSchema,
  type GetTlsFileRequest,
  GetTlsFileRequestSchema,
  type ListTlsFilesRequest,
  TlsFileKind,
  type TlsFileSchema,
} from "../../gen/haplane/v1/runtime_pb.js";
import {
  parseCertificates,
  parseCrls,
  parseCrtList,
  parseOcspDetails,
  parseOcspResponses,
  parseStatus,
} from "../haproxy/loaded-tls.ts";
import type { SslStore } from "../haproxy/ssl-files.ts";
import { DomainError } from "../lib/errors.ts";
import { fieldsInvalid } from "../rpc/fields.ts";
import { checkRequest } from "./check-request.ts";
import { checkWords } from "./command-words.ts";
import type { RuntimeTools } from "./runtime-options.ts";

const STORES: readonly (readonly [kind: TlsFileKind, store: SslStore])[] = [
  [TlsFileKind.CERTIFICATE, "cert"],
  [TlsFileKind.CA_FILE, "ca-file"],
  [TlsFileKind.CRL_FILE, "crl-file"],
];

/** What is loaded, by name. */
export async function listTlsFiles(
  { haproxy }: RuntimeTools,
  { kind }: ListTlsFilesRequest,
  signal: AbortSignal,
) {
  if (TlsFileKind[kind] === undefined) throw unknownKind();
  const { sslFiles } = haproxy.runtime;
  const isWanted = (one: TlsFileKind) => kind === TlsFileKind.UNSPECIFIED || kind === one;
  const stores = await Promise.all(
    STORES.filter(([one]) => isWanted(one)).map(async ([one, store]) => {
      const paths = await sslFiles.names(store, { signal });
      return paths.map((path) => ({ kind: one, path }));
    }),
  );
  const lists = isWanted(TlsFileKind.CRT_LIST) ? await sslFiles.lists({ signal }) : [];
  return { files: [...stores.flat(), ...lists.map((path) => ({ kind: TlsFileKind.CRT_LIST, path }))] };
}

/** What one of them holds. */
export async function getTlsFile(
  { haproxy }: RuntimeTools,
  request: GetTlsFileRequest,
  signal: AbortSignal,
): Promise<{ file: MessageInitShape<typeof TlsFileSchema> }> {
  checkRequest(GetTlsFileRequestSchema, request);
  checkWords({ path: request.path });
  const { kind, path } = request;
  if (TlsFileKind[kind] === undefined) throw unknownKind();
  const isList = kind === TlsFileKind.CRT_LIST;
  const store = isList ? "crt-list" : (STORES.find(([one]) => one === kind)?.[1] as string);
  const answer = await orMissing("TLS file", path, () =>
    haproxy.runtime.ask(["show", "ssl", store, ...(isList ? ["-n"] : []), path], { signal }),
  );
  const file = { kind, path, status: parseStatus(answer) };
  if (isList) return { file: { ...file, entries: parseCrtList(answer) } };
  if (kind === TlsFileKind.CRL_FILE) {
    const crls = parseCrls(answer).map(({ lastUpdate, nextUpdate, ...crl }) => ({
      ...crl,
      ...time("lastUpdate", lastUpdate),
      ...time("nextUpdate", nextUpdate),
    }));
    return { file: { ...file, crls } };
  }
  const certificates = parseCertificates(answer).map(({ notBefore, notAfter, ...certificate }) => ({
    ...certificate,
    ...time("notBefore", notBefore),
    ...time("notAfter", notAfter),
  }));
  return { file: { ...file, certificates } };
}

/** The OCSP responses that are loaded. */
export async function listOcspResponses({ haproxy }: RuntimeTools, signal: AbortSignal) {
  const answer = await haproxy.runtime.ask(["show", "ssl", "ocsp-response"], { signal });
  return { responses: parseOcspResponses(answer) };
}

/** What one of them says. */
export async function getOcspResponse(
  tools: RuntimeTools,
  request: GetOcspResponseRequest,
  signal: AbortSignal,
) {
  checkRequest(GetOcspResponseRequestSchema, request);
  const { id } = request;
  const [answer, { responses }] = await Promise.all([
    orMissing("OCSP response", id, () =>
      tools.haproxy.runtime.ask(["show", "ssl", "ocsp-response", id], { signal }),
    ),
    listOcspResponses(tools, signal),
  ]);
  const { certificateStatus, producedAt, thisUpdate, nextUpdate } = parseOcspDetails(answer);
  return {
    response: {
      ...(responses.find((one) => one.id === id) ?? { id }),
      certificateStatus,
      ...time("producedAt", producedAt),
      ...time("thisUpdate", thisUpdate),
      ...time("nextUpdate", nextUpdate),
    },
  };
}

/** HAProxy refuses a name that it does not know, in words that differ by kind. */
async function orMissing(type: string, name: string, ask: () => Promise<string>): Promise<string> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof DomainError) || error.reason !== "HAPROXY_REFUSED") throw error;
    throw new DomainError("RESOURCE_NOT_FOUND", `the running HAProxy has not loaded this ${type}`, {
      resource: { type, name },
      cause: error,
    });
  }
}

function time<K extends string>(key: K, ms: number | undefined): { readonly [P in K]?: Timestamp } {
  return ms === undefined ? {} : ({ [key]: timestampFromMs(ms) } as { [P in K]: Timestamp });
}

function unknownKind(): DomainError {
  return fieldsInvalid([{ field: "kind", description: "must be one of TlsFileKind" }]);
}
