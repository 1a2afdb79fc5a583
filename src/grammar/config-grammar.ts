import { file_haplane_config_v1_acme } from "../../gen/haplane/config/v1/acme_pb.js";
import { file_haplane_config_v1_cache } from "../../gen/haplane/config/v1/cache_pb.js";
import { file_haplane_config_v1_crt_store } from "../../gen/haplane/config/v1/crt_store_pb.js";
import { file_haplane_config_v1_fcgi_app } from "../../gen/haplane/config/v1/fcgi_app_pb.js";
import { file_haplane_config_v1_global } from "../../gen/haplane/config/v1/global_pb.js";
import { file_haplane_config_v1_healthcheck } from "../../gen/haplane/config/v1/healthcheck_pb.js";
import { file_haplane_config_v1_http_errors } from "../../gen/haplane/config/v1/http_errors_pb.js";
import { file_haplane_config_v1_log_forward } from "../../gen/haplane/config/v1/log_forward_pb.js";
import { file_haplane_config_v1_log_profile } from "../../gen/haplane/config/v1/log_profile_pb.js";
import { file_haplane_config_v1_mailers } from "../../gen/haplane/config/v1/mailers_pb.js";
import { file_haplane_config_v1_namespace_list } from "../../gen/haplane/config/v1/namespace_list_pb.js";
import { file_haplane_config_v1_peers } from "../../gen/haplane/config/v1/peers_pb.js";
import { file_haplane_config_v1_program } from "../../gen/haplane/config/v1/program_pb.js";
import { file_haplane_config_v1_proxy } from "../../gen/haplane/config/v1/proxy_pb.js";
import { file_haplane_config_v1_resolvers } from "../../gen/haplane/config/v1/resolvers_pb.js";
import { file_haplane_config_v1_ring } from "../../gen/haplane/config/v1/ring_pb.js";
import { file_haplane_config_v1_trace } from "../../gen/haplane/config/v1/trace_pb.js";
import { file_haplane_config_v1_userlist } from "../../gen/haplane/config/v1/userlist_pb.js";
import { compileGrammar, type Grammar } from "./grammar.ts";

let compiled: Grammar | undefined;

/** The grammar of haproxy.cfg, compiled when it is first asked for. */
export function configGrammar(): Grammar {
  compiled ??= compileGrammar([
    file_haplane_config_v1_acme,
    file_haplane_config_v1_cache,
    file_haplane_config_v1_crt_store,
    file_haplane_config_v1_fcgi_app,
    file_haplane_config_v1_global,
    file_haplane_config_v1_healthcheck,
    file_haplane_config_v1_http_errors,
    file_haplane_config_v1_log_forward,
    file_haplane_config_v1_log_profile,
    file_haplane_config_v1_mailers,
    file_haplane_config_v1_namespace_list,
    file_haplane_config_v1_peers,
    file_haplane_config_v1_program,
    file_haplane_config_v1_proxy,
    file_haplane_config_v1_resolvers,
    file_haplane_config_v1_ring,
    file_haplane_config_v1_trace,
    file_haplane_config_v1_userlist,
  ]);
  return compiled;
}
