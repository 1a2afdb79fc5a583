import { ResourceSchema } from "../../gen/haplane/v1/configuration_pb.js";
import { SpoeResourceSchema } from "../../gen/haplane/v1/spoe_pb.js";
import { configGrammar } from "../grammar/config-grammar.ts";
import { spoeGrammar } from "../grammar/spoe-grammar.ts";
import type { Document } from "../text/document.ts";
import { SPOE_SECTIONS } from "../text/structure.ts";
import { compileLanguage, type Language } from "./kinds.ts";

let config: Language | undefined;
let spoe: Language | undefined;

/** The language of haproxy.cfg. */
export function configLanguage(): Language {
  config ??= compileLanguage(
    ResourceSchema,
    configGrammar(),
    "global, backends/{backend}, backends/{backend}/servers/{server}, frontends/{frontend}/binds/{bind}",
  );
  return config;
}

/** The language of a scope of a SPOE file. */
export function spoeLanguage(): Language {
  spoe ??= compileLanguage(
    SpoeResourceSchema,
    spoeGrammar(),
    "agents/{agent}, groups/{group}, messages/{message}",
  );
  return spoe;
}

/** The language that a document is written in. */
export function languageOf({ structure }: Document): Language {
  return structure.sections === SPOE_SECTIONS ? spoeLanguage() : configLanguage();
}
