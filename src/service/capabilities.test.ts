import assert from "node:assert/strict";
import { test } from "node:test";
import { DEFAULT_POLICY } from "../commit/policy.ts";
import { capabilitiesOf } from "../haproxy/capabilities.ts";
import { parseVersion } from "../haproxy/version.ts";
import { DomainError } from "../lib/errors.ts";
import { Document } from "../text/document.ts";
import { type CapabilityFacts, capabilitiesAnswer } from "./capabilities.ts";

const WITH_ALL =
  "global\n    stats socket /run/h.sock mode 600 level admin\n    server-state-file /var/lib/haproxy/states\ndefaults\n    load-server-state-from-file global\n";

function document(text: string): Document {
  return Document.parse([{ path: "haproxy.cfg", bytes: Buffer.from(text) }]);
}

/** Nothing is missing. */
const ALL: CapabilityFacts = {
  mode: "managed",
  haproxy: capabilitiesOf(parseVersion("3.2.0")!),
  checks: true,
  policy: DEFAULT_POLICY,
  status: { held: undefined, lagging: undefined },
  document: document(WITH_ALL),
};

const CASES: readonly {
  readonly name: string;
  readonly facts: Partial<CapabilityFacts>;
  readonly restriction?: RegExp;
  readonly writes?: boolean;
  readonly reloads?: boolean;
}[] = [
  { name: "nothing is missing", facts: {} },
  {
    name: "read-only",
    facts: { policy: { ...DEFAULT_POLICY, readOnly: true } },
    restriction: /--read-only/,
    writes: false,
    reloads: false,
  },
  {
    name: "an edit is held",
    facts: {
      status: { held: new DomainError("FILE_HELD", "line 3 is refused", {}), lagging: undefined },
    },
    restriction: /line 3 is refused/,
    writes: false,
  },
  {
    name: "the disk is full",
    facts: { status: { held: undefined, lagging: { since: 0, reason: "ENOSPC" } } },
    restriction: /ENOSPC/,
  },
  {
    name: "edits by hand wait",
    facts: { policy: { ...DEFAULT_POLICY, externalEdits: "hold" } },
    restriction: /--external-edits hold/,
  },
  { name: "no binary", facts: { checks: false }, restriction: /--haproxy/ },
  { name: "never seen", facts: { haproxy: undefined }, restriction: /not been seen/ },
  {
    name: "a version that ends with a failed start",
    facts: { haproxy: capabilitiesOf(parseVersion("2.6.12")!) },
    restriction: /cannot start with/,
  },
  {
    name: "no state file",
    facts: { document: document("global\n    stats socket /run/h.sock level admin\n") },
    restriction: /server-state-file/,
  },
  {
    name: "a stats socket that was removed",
    facts: { document: document(WITH_ALL.replace("stats socket", "# stats socket")) },
    restriction: /no stats socket/,
  },
  {
    name: "a stats socket on which little is allowed",
    facts: { document: document(WITH_ALL.replace("level admin", "level operator")) },
    restriction: /no stats socket/,
  },
];

for (const { name, facts, restriction, writes = true, reloads = true } of CASES) {
  test(`capabilities: ${name}`, () => {
    const answer = capabilitiesAnswer({ ...ALL, ...facts });
    assert.deepEqual([answer.writes, answer.reloads], [writes, reloads]);
    const { restrictions = [] } = answer;
    if (restriction === undefined) assert.deepEqual(restrictions, []);
    else {
      assert.equal(restrictions.length, 1);
      assert.match(restrictions[0]!, restriction);
    }
  });
}
