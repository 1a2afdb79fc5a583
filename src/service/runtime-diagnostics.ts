import { Role } from "../../gen/haplane/v1/options_pb.js";
import type { ListErrorsRequest } from "../../gen/haplane/v1/runtime_pb.js";
import { formatName } from "../config/name.ts";
import { parseErrors } from "../haproxy/captured-errors.ts";
import { parseResolvers } from "../haproxy/resolver-counters.ts";
import { parseActivity, parseThreads } from "../haproxy/threads.ts";
import type { CallContext } from "../rpc/handler.ts";
import type { RuntimeTools } from "./runtime-options.ts";

/** Invalid requests and responses; what clients sent, secrets included, only for admins. */
export async function listErrors(
  { haproxy }: RuntimeTools,
  { proxy }: ListErrorsRequest,
  { signal, caller }: CallContext,
) {
  const answer = await haproxy.runtime.ask(["show", "errors"], { signal });
  const mayCapture = caller.role >= Role.ADMIN;
  const errors = parseErrors(answer)
    .filter((error) => proxy === "" || error.proxy === proxy)
    .map(({ event, position, capture, ...error }) => ({
      ...error,
      event: BigInt(event),
      ...(position !== undefined && { position }),
      ...(mayCapture && { capture }),
    }));
  return { errors };
}

/** Name servers with their counters. */
export async function listResolvers({ haproxy }: RuntimeTools, signal: AbortSignal) {
  const sections = parseResolvers(await haproxy.runtime.ask(["show", "resolvers"], { signal }));
  return {
    resolvers: sections.map(({ name, nameservers }) => ({
      name: formatName("resolvers", name),
      nameservers: nameservers.map((nameserver) => ({ ...nameserver })),
    })),
  };
}

/** The threads. */
export async function listThreads({ haproxy }: RuntimeTools, signal: AbortSignal) {
  const threads = parseThreads(await haproxy.runtime.ask(["show", "threads"], { signal }));
  return { threads: threads.map((thread) => ({ ...thread })) };
}

/** What they have done. */
export async function getActivity({ haproxy }: RuntimeTools, signal: AbortSignal) {
  const { counters, other } = parseActivity(await haproxy.runtime.ask(["show", "activity"], { signal }));
  return { counters: counters.map((counter) => ({ ...counter, threads: [...counter.threads] })), other };
}
