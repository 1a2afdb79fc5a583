import { clone } from "@bufbuild/protobuf";
import { type Server, ServerSchema } from "../../gen/haplane/config/v1/server_pb.js";
import { checkLineValue } from "../grammar/check.ts";
import type { Version } from "../grammar/version.ts";
import { DomainError, type FieldViolation } from "../lib/errors.ts";
import { quoteWords } from "../text/quote.ts";
import { serverKind } from "./server.ts";

/** What is each server's own, or would be told to whoever reads the template. */
const NOT_IN_TEMPLATES = [
  "name",
  "address",
  "port",
  "id",
  "guid",
  "weight",
  "disabled",
  "tcpMd5sig",
  "unmodelledWords",
] as const satisfies readonly (keyof Server)[];

/**
 * The words that a template puts behind the address of each server. Throws `FIELD_INVALID` with every violation, for paths below `path`; `version` is that of the HAProxy that is to
 * read them, where it is known.
 */
export function templateWords(
  template: Server,
  version: Version | undefined,
  path: string,
): readonly string[] {
  const { directive } = serverKind();
  const violations: FieldViolation[] = NOT_IN_TEMPLATES.filter((field) => isSet(template[field])).map(
    (field) => ({
      field: `${path}.${ServerSchema.field[field].name}`,
      description: "cannot be given by a template",
    }),
  );
  const server = clone(ServerSchema, template);
  Object.assign(server, { name: "template", address: "127.0.0.1", port: 1 });
  for (const { field, description } of checkLineValue(directive, server, version, ""))
    violations.push({ field: `${path}${field.startsWith(".") ? "" : "."}${field}`, description });
  if (violations.length === 0) {
    const words = directive.write(server, undefined);
    // `server NAME ADDRESS` come before them.
    if (quoteWords(words).ok) return words.slice(3);
    violations.push({ field: path, description: "has characters that no line can hold" });
  }
  throw new DomainError("FIELD_INVALID", `${violations[0]?.field} ${violations[0]?.description}`, {
    violations,
  });
}

function isSet(value: unknown): boolean {
  return Array.isArray(value) ? value.length > 0 : value !== undefined && value !== "";
}
