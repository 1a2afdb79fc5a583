import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { Naming } from "../../gen/haplane/grammar/v1/grammar_pb.js";
import type { Resource } from "../../gen/haplane/v1/configuration_pb.js";
import type { SpoeResource } from "../../gen/haplane/v1/spoe_pb.js";
import type { Directive } from "../grammar/directive.ts";
import type { Grammar } from "../grammar/grammar.ts";
import type { SectionCodec } from "../grammar/section-codec.ts";
import { sectionsOf } from "../grammar/syntax.ts";

/** A resource of one of the languages, as it is sent and received. */
export type AnyResource = Resource | SpoeResource;

/** The member of the choice `kind` that a resource has. */
export type ResourceCase = Exclude<AnyResource["kind"]["case"], undefined>;

/** A kind of section that is a resource. */
export interface SectionKind {
  readonly case: ResourceCase;
  /** The member's name in the proto, as in field paths: `http_errors`. */
  readonly field: string;
  /** The keyword of its header. */
  readonly keyword: string;
  /** The first part of its names. */
  readonly collection: string;
  /** Whether its header has a name: always, perhaps, or never. Those without are numbered. */
  readonly naming: "required" | "optional" | "none";
  readonly codec: SectionCodec;
  /** The resources in it that have names of their own. */
  readonly children: readonly ChildKind[];
}

/** A kind of line that is a resource. */
export interface ChildKind {
  readonly case: "server" | "bind";
  /** The part of its names behind the section's. */
  readonly collection: "servers" | "binds";
  /** The section's directive whose elements they are. */
  readonly directive: Directive;
}

/** First part of the names of each kind of section, where it is not the member's name with an `s`. */
const COLLECTIONS: Partial<Record<ResourceCase, string>> = {
  global: "global",
  defaults: "defaults",
  resolvers: "resolvers",
  peers: "peers",
  mailers: "mailers",
  httpErrors: "httpErrors",
  traces: "traces",
  namespaceList: "namespaceList",
};

const CHILDREN: Readonly<Record<string, Pick<ChildKind, "case" | "collection">>> = {
  server: { case: "server", collection: "servers" },
  bind: { case: "bind", collection: "binds" },
};

/** Says which lines of a file are resources, what they are called, and by which message each is sent. */
export interface Language {
  /** The message of a resource: `name`, `etag`, `ambiguity` and the choice `kind`. */
  readonly resource: DescMessage;
  /** Names of resources, for those who sent something else. */
  readonly examples: string;
  /** The kind of the sections that a keyword begins; undefined for the lines before the first section. */
  kindOfKeyword(keyword: string): SectionKind | undefined;
  /** The kind of the sections whose names begin so. */
  kindOfCollection(collection: string): SectionKind | undefined;
  /** The kind of a member of `kind`; undefined for those that are no sections. */
  kindOfCase(name: ResourceCase): SectionKind | undefined;
}

/** Compiles a language: each member of the choice `kind` that is a section of the grammar becomes a kind. */
export function compileLanguage(resource: DescMessage, grammar: Grammar, examples: string): Language {
  const kinds = resource.oneofs[0]!.fields.flatMap((field) => sectionKind(field, grammar));
  const byKeyword = new Map(kinds.map((kind) => [kind.keyword, kind]));
  const byCollection = new Map(kinds.map((kind) => [kind.collection, kind]));
  const byCase = new Map(kinds.map((kind) => [kind.case, kind]));
  return {
    ...{ resource, examples },
    kindOfKeyword: (keyword) => byKeyword.get(keyword),
    kindOfCollection: (collection) => byCollection.get(collection),
    kindOfCase: (name) => byCase.get(name),
  };
}

function sectionKind(field: DescField, grammar: Grammar): SectionKind[] {
  const message = field.fieldKind === "message" ? field.message : undefined;
  if (message === undefined || sectionsOf(message).length === 0) return [];
  const codec = grammar.of(message);
  const own = field.name.replaceAll("_", "-");
  const keyword = codec.kinds.has(own) ? own : [...codec.kinds.keys()][0]!;
  const syntax = codec.kinds.get(keyword)!;
  const name = field.localName as ResourceCase;
  return [
    {
      case: name,
      field: field.name,
      keyword,
      collection: COLLECTIONS[name] ?? `${name}s`,
      naming:
        syntax.naming === Naming.REQUIRED
          ? "required"
          : syntax.naming === Naming.OPTIONAL
            ? "optional"
            : "none",
      codec,
      children: codec.directives
        .filter(({ syntax: line }) => line.child && (line.kinds === "" || line.kinds.includes(syntax.letter)))
        .map((directive) => ({ ...CHILDREN[directive.syntax.keyword[0]!]!, directive })),
    },
  ];
}
