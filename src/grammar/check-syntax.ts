import { ScalarType } from "@bufbuild/protobuf";
import { Type } from "../../gen/haplane/grammar/v1/grammar_pb.js";
import { CONFIG_SECTIONS, SPOE_SECTIONS } from "../text/structure.ts";
import { messageOf, scalarTypeOf } from "./field.ts";
import { GrammarError } from "./grammar-error.ts";
import { ruleCheckOf } from "./rules.ts";
import type { FieldSyntax, LineSyntax } from "./syntax.ts";

/** What a value can name besides a section. */
const NAMED: ReadonlySet<string> = new Set(["server", "table", ...CONFIG_SECTIONS, ...SPOE_SECTIONS]);

/** Refuses what the options of a field say together and no way of writing it could follow. Throws `GrammarError`. */
export function checkSyntax(syntax: FieldSyntax): void {
  const { field, type, refers } = syntax;
  if (messageOf(field) !== undefined) {
    if (syntax.separator !== "" || syntax.rest || syntax.no !== undefined || type !== Type.UNSPECIFIED)
      throw new GrammarError(field, "type, separator, rest and no are for values, not for a message");
  } else if (type === Type.ON_OFF) {
    if (scalarTypeOf(field) !== ScalarType.BOOL) throw new GrammarError(field, "only a bool is on or off");
  } else if (type !== Type.UNSPECIFIED && scalarTypeOf(field) !== ScalarType.STRING)
    throw new GrammarError(field, `type ${Type[type]} is for a string`);
  if (refers !== "" && !NAMED.has(refers))
    throw new GrammarError(field, `refers: "${refers}" is no kind of section, nor server, nor table`);
  ruleCheckOf(field);
}

/** Refuses as well what only a directive can say. */
export function checkLineSyntax(syntax: LineSyntax): void {
  const { field, kinds, keyword, aliases, child } = syntax;
  checkSyntax(syntax);
  if (new Set(kinds).size < kinds.length)
    throw new GrammarError(field, `in: "${kinds}" names a letter twice`);
  if ([keyword, ...aliases].some(([first]) => first === "no"))
    throw new GrammarError(field, `"no" is a prefix, not the first word of a keyword`);
  if (child && (field.fieldKind !== "list" || field.listKind !== "message"))
    throw new GrammarError(
      field,
      "only the elements of a repeated message are resources of their own (child)",
    );
}
