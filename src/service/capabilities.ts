import type { MessageInitShape } from "@bufbuild/protobuf";
import type { GetCapabilitiesResponseSchema } from "../../gen/haplane/v1/configuration_pb.js";
import type { CommitStatus } from "../commit/commit.ts";
import type { CommitPolicy } from "../commit/policy.ts";
import { stateFileOf } from "../commit/state-file.ts";
import { hasAdminSocket } from "../config/admin-socket.ts";
import type { Capabilities } from "../haproxy/capabilities.ts";
import type { Document } from "../text/document.ts";

/** What decides what can be done with the configuration, at one moment. */
export interface CapabilityFacts {
  readonly mode: "managed" | "attached";
  /** What the running HAProxy can do; undefined until one has been seen. */
  readonly haproxy: Capabilities | undefined;
  /** Whether a binary is known that configurations can be checked with. */
  readonly checks: boolean;
  readonly policy: Pick<CommitPolicy, "readOnly" | "externalEdits">;
  readonly status: Pick<CommitStatus, "held" | "lagging">;
  readonly document: Document;
}

/** The answer of GetCapabilities: what can be done, and in sentences what cannot. */
export function capabilitiesAnswer({
  mode,
  haproxy,
  checks,
  policy,
  status,
  document,
}: CapabilityFacts): MessageInitShape<typeof GetCapabilitiesResponseSchema> {
  const { held, lagging } = status;
  const restrictions = [
    policy.readOnly &&
      "Nothing is written and nothing is reloaded: haplane only looks (--read-only). Discovery changes the running HAProxy only.",
    held !== undefined &&
      `Writes are refused until an edit of the files by hand is mended or taken over: ${held.message}.`,
    lagging !== undefined && `What discovery changed is live but not in the files yet: ${lagging.reason}.`,
    policy.externalEdits === "hold" &&
      "Edits of the files by hand wait until somebody asks for a reload (--external-edits hold).",
    !checks &&
      "Configurations cannot be checked before they are used: no HAProxy binary is known (--haproxy).",
    haproxy === undefined && "HAProxy has not been seen yet, so its version is not known.",
    haproxy?.reloadSurvivesFailedStart === false &&
      "A configuration that HAProxy accepts but cannot start with (a port that is taken, a chroot to nowhere) ends this version of HAProxy; haplane then puts the former one back and starts it again.",
    !hasAdminSocket(document) &&
      "The configuration has no stats socket with the level admin, so HAProxy takes no commands after its next start: every change then costs a reload, and discovery cannot add servers without one (stats socket … level admin).",
    stateFileOf(document) === undefined &&
      "Drains and weights set at runtime are given back by commands right after a reload, so a few requests can reach a drained server before: the configuration loads no server-state-file (load-server-state-from-file global).",
  ];
  return {
    haproxyVersion: haproxy?.version.text ?? "",
    managed: mode === "managed",
    checks,
    reloads: !policy.readOnly,
    writes: !policy.readOnly && held === undefined,
    restrictions: restrictions.filter((restriction) => restriction !== false),
  };
}
