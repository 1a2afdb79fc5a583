import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { CertificateSchema, FileSchema } from "../../gen/haplane/v1/storage_pb.js";
import { fileName } from "../storage/kinds.ts";
import type { CertificateFacts, StoredFile } from "../storage/stored-file.ts";
import { toFileKind } from "./storage-kinds.ts";

/** A stored file in the API's words. */
export function toFile(file: StoredFile): MessageInitShape<typeof FileSchema> {
  const { kind, facts, description, referrers, certificates, pattern } = file;
  return {
    name: fileName(kind, facts.name),
    kind: toFileKind(kind),
    storageName: facts.name,
    path: facts.path,
    description,
    size: BigInt(facts.size),
    sha256: facts.sha256,
    etag: facts.etag,
    modifyTime: timestampFromMs(facts.modifyTime),
    referrers: referrers.map(({ directive, file: of, line, resource }) => ({
      ...{ directive, file: of, line, resource },
    })),
    certificates: certificates.map(toCertificate),
    ...(pattern && { runtime: { id: pattern.id, description: pattern.description } }),
  };
}

function toCertificate(facts: CertificateFacts): MessageInitShape<typeof CertificateSchema> {
  const { subject, issuer, subjectAlternativeNames, serialNumber, keyType, sha256Fingerprint } = facts;
  return {
    ...{ subject, issuer, serialNumber, keyType, sha256Fingerprint },
    subjectAlternativeNames: [...subjectAlternativeNames],
    notBefore: timestampFromMs(facts.notBefore),
    notAfter: timestampFromMs(facts.notAfter),
  };
}
