import { file_haplane_spoe_v1_agent } from "../../gen/haplane/spoe/v1/agent_pb.js";
import { file_haplane_spoe_v1_group } from "../../gen/haplane/spoe/v1/group_pb.js";
import { file_haplane_spoe_v1_message } from "../../gen/haplane/spoe/v1/message_pb.js";
import { compileGrammar, type Grammar } from "./grammar.ts";

let compiled: Grammar | undefined;

/** The grammar of SPOE files, compiled when it is first asked for. */
export function spoeGrammar(): Grammar {
  compiled ??= compileGrammar([
    file_haplane_spoe_v1_agent,
    file_haplane_spoe_v1_group,
    file_haplane_spoe_v1_message,
  ]);
  return compiled;
}
