import { durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  type GetSessionRequest,
  GetSessionRequestSchema,
  type ListSessionsRequest,
  type ShutdownSessionRequest,
  ShutdownSessionRequestSchema,
} from "../../gen/haplane/v1/runtime_pb.js";
import { parseSessionDetails, parseSessions, type Session } from "../haproxy/sessions.ts";
import { DomainError } from "../lib/errors.ts";
import { paginate } from "../rpc/page-token.ts";
import { checkRequest } from "./check-request.ts";
import type { RuntimeTools } from "./runtime-options.ts";

const PAGE = { defaultSize: 100, maxSize: 5_000 };

/** What HAProxy says of a session that is not there. */
const NO_SESSION = /session not found|no such session/i;

/** A page of the sessions. */
export async function listSessions(tools: RuntimeTools, request: ListSessionsRequest, signal: AbortSignal) {
  const sessions = parseSessions(await tools.haproxy.runtime.ask(["show", "sess"], { signal }));
  const wanted = sessions.filter(
    ({ frontend, backend, server }) =>
      (request.frontend === "" || frontend === request.frontend) &&
      (request.backend === "" || backend === request.backend) &&
      (request.server === "" || server === request.server),
  );
  const { items, nextPageToken } = paginate(wanted, request, { ...PAGE, key: ({ id }) => id });
  return { sessions: items.map(sessionMessage), nextPageToken };
}

/** One session. */
export async function getSession(tools: RuntimeTools, request: GetSessionRequest, signal: AbortSignal) {
  checkRequest(GetSessionRequestSchema, request);
  const answer = await orMissing(request.id, () =>
    tools.haproxy.runtime.ask(["show", "sess", request.id], { signal }),
  );
  const session = parseSessionDetails(answer);
  if (session === undefined) throw missing(request.id);
  return { session: sessionMessage(session) };
}

/** Ends one session. */
export async function shutdownSession(
  tools: RuntimeTools,
  request: ShutdownSessionRequest,
  signal: AbortSignal,
) {
  checkRequest(ShutdownSessionRequestSchema, request);
  await orMissing(request.id, () =>
    tools.haproxy.runtime.tell(["shutdown", "session", request.id], { signal }),
  );
  return {};
}

async function orMissing(id: string, ask: () => Promise<string>): Promise<string> {
  try {
    const answer = await ask();
    if (NO_SESSION.test(answer)) throw missing(id);
    return answer;
  } catch (error) {
    if (error instanceof DomainError && NO_SESSION.test(error.metadata.output ?? ""))
      throw missing(id, error);
    throw error;
  }
}

function sessionMessage({ ageSeconds, calls, rate, ...session }: Session) {
  return { ...session, age: durationFromMs(ageSeconds * 1_000), calls: BigInt(calls), rate: BigInt(rate) };
}

function missing(id: string, cause?: unknown): DomainError {
  return new DomainError("RESOURCE_NOT_FOUND", `the running HAProxy has no session ${id}`, {
    resource: { type: "session", name: id },
    cause,
  });
}
