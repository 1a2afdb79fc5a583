/** Writes docs/errors.md from the enum of reasons and the table that maps them. `node scripts/errors-page.ts` */

import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { status as Code } from "@grpc/grpc-js";
import { ERROR_DOMAIN, REASONS } from "../src/rpc/status.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const page = fileURLToPath(new URL("../docs/errors.md", import.meta.url));

/** A reason as the proto declares it. */
interface DeclaredReason {
  /** Without the prefix of the enum. */
  readonly name: string;
  readonly comment: string;
}

/** The reasons of error_reason.proto with their comments, which generated code does not keep. */
export function declaredReasons(): DeclaredReason[] {
  const set = execFileSync(
    "buf",
    ["build", "--path", "proto/haplane/v1/error_reason.proto", "-o", "-#format=binpb"],
    {
      cwd: root,
      maxBuffer: 16 * 1024 * 1024,
    },
  );
  const file = fromBinary(FileDescriptorSetSchema, set).file.find(
    ({ name }) => name === "haplane/v1/error_reason.proto",
  );
  const values = file?.enumType[0]?.value ?? [];
  return values.flatMap(({ name, number }, index) => {
    if (number === 0) return [];
    // Field 5 of a file is its enums, field 2 of an enum its values.
    const location = file?.sourceCodeInfo?.location.find(({ path }) => path.join() === `5,0,2,${index}`);
    return { name: name.replace(/^ERROR_REASON_/, ""), comment: oneLine(location?.leadingComments ?? "") };
  });
}

/** The page, as Markdown. */
export function errorsPage(reasons: readonly DeclaredReason[]): string {
  const rows = reasons.map(({ name, comment }) => {
    const rule = REASONS[name as keyof typeof REASONS];
    const retry = rule.retryAfterMs === undefined ? "" : `${rule.retryAfterMs / 1_000} s`;
    return `| \`${name}\` | ${Code[rule.code]} | ${retry} | ${comment.replaceAll("|", "\\|")} |`;
  });
  return `# Errors

<!-- Written by scripts/errors-page.ts from proto/haplane/v1/error_reason.proto and src/rpc/status.ts. -->

Every error of haplane is a \`google.rpc.Status\`, over gRPC in the trailer \`grpc-status-details-bin\`, over Connect in \`details\`:
a code, a sentence for people, and typed details for programs. Compare reasons, never sentences.

- \`google.rpc.ErrorInfo\`: always. Its \`domain\` is \`${ERROR_DOMAIN}\`, its \`reason\` one of the table; its \`metadata\` has what varies in the sentence.
- \`google.rpc.RequestInfo\`: always. Its \`request_id\` is the one in haplane's log: the \`x-request-id\` that the client sent, else one of ours.
- \`google.rpc.BadRequest\`: one violation for each wrong field, named by its path from the request.
- \`google.rpc.PreconditionFailure\`: one violation for each alert of HAProxy, or for each thing that stands in the way.
- \`google.rpc.ResourceInfo\`: the resource in question, by its name.
- \`google.rpc.QuotaFailure\`: the limit that was reached.
- \`google.rpc.RetryInfo\`: when to try again. The table has what is sent when haplane knows nothing better.

A status is at most about 5 KB, so that it fits into the headers that clients accept; long lists of violations are cut, and the last one says how many are missing.
What breaks the rules of the protocol itself (bytes or JSON that are no such message, an unknown method) may come without details, from the transport.

| reason | code | retry after | when, and with what |
|---|---|---|---|
${rows.join("\n")}
`;
}

function oneLine(comment: string): string {
  return comment.trim().replace(/\s+/g, " ");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(page, errorsPage(declaredReasons()));
