import { file_haplane_config_v1_proxy } from "../../gen/haplane/config/v1/proxy_pb.js";
import { compileGrammar, type Grammar } from "./grammar.ts";

let compiled: Grammar | undefined;

/** The grammar of haproxy.cfg, compiled when it is first asked for. */
export function configGrammar(): Grammar {
  compiled ??= compileGrammar([file_haplane_config_v1_proxy]);
  return compiled;
}
