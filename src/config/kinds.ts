import type { DescField } from "@bufbuild/protobuf";
import { Naming } from "../../gen/haplane/grammar/v1/grammar_pb.js";
import { type Resource, ResourceSchema } from "../../gen/haplane/v1/configuration_pb.js";
import { configGrammar } from "../grammar/config-grammar.ts";
import type { Directive } from "../grammar/directive.ts";
import type { SectionCodec } from "../grammar/section-codec.ts";

/** The member of `Resource.kind` that a resource has. */
export type ResourceCase = Exclude<Resource["kind"]["case"], undefined>;

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

/** All kinds of sections, in the order of `Resource.kind`. */
export function sectionKinds(): readonly SectionKind[] {
  kinds ??= ResourceSchema.oneofs[0]!.fields.flatMap(sectionKind);
  return kinds;
}

let kinds: readonly SectionKind[] | undefined;
const byKeyword = new Map<string, SectionKind>();
const byCollection = new Map<string, SectionKind>();
const byCase = new Map<string, SectionKind>();

/** The kind of the sections that a keyword begins; undefined for the lines before the first section. */
export function kindOfKeyword(keyword: string): SectionKind | undefined {
  return indexed(byKeyword, ({ keyword: key }) => key).get(keyword);
}

/** The kind of the sections whose names begin so. */
export function kindOfCollection(collection: string): SectionKind | undefined {
  return indexed(byCollection, ({ collection: key }) => key).get(collection);
}

/** The kind of a member of `Resource.kind`; undefined for those that are lines. */
export function kindOfCase(name: ResourceCase): SectionKind | undefined {
  return indexed(byCase, ({ case: key }) => key).get(name);
}

function indexed(index: Map<string, SectionKind>, key: (kind: SectionKind) => string) {
  if (index.size === 0) for (const kind of sectionKinds()) index.set(key(kind), kind);
  return index;
}

function sectionKind(field: DescField): SectionKind[] {
  const message = field.fieldKind === "message" ? field.message : undefined;
  if (message === undefined || field.localName in CHILDREN) return [];
  const codec = configGrammar().of(message);
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
