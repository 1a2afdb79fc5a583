import { create, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { type Resource, ResourceSchema } from "../../gen/haplane/v1/configuration_pb.js";
import type { SpoeResourceSchema } from "../../gen/haplane/v1/spoe_pb.js";
import { withoutSecrets } from "../grammar/secrets.ts";
import { sectionMessage } from "../grammar/section-message.ts";
import { type Fields, slotOf } from "../grammar/slot.ts";
import type { Chunk } from "../text/chunk.ts";
import type { Section } from "../text/section.ts";
import { type ChildLine, childAt, readChild } from "./children.ts";
import type { Etags } from "./etag.ts";
import type { ChildKind, SectionKind } from "./kinds.ts";
import type { Located } from "./locate.ts";

/** How resources are read. */
export interface ResourceReader {
  /** A resource as it may leave the process: without secrets. `children`: a section comes with its servers and binds. */
  read(located: Located, children: boolean): Resource;
  /** The same in its wire form, which is kept with the lines that it was made of. */
  encode(located: Located, children: boolean): Uint8Array;
  /** The wire form of a child that is not ambiguous. `parent` is its section's resource name and a slash. */
  encodeChild(
    parent: string,
    kind: SectionKind,
    child: ChildKind,
    line: ChildLine,
    name: () => string,
  ): Uint8Array;
}

interface KeptSection {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** The wire forms of a chunk's children, by offset; they hold for one parent. */
interface KeptChunk {
  readonly parent: string;
  readonly bytes: (Uint8Array | undefined)[];
}

/** A resource of a language as it may leave the process: without secrets. `children`: a section comes with its servers and binds. */
export function readResource<S extends typeof ResourceSchema | typeof SpoeResourceSchema>(
  schema: S,
  etags: Etags,
  located: Located,
  children: boolean,
): MessageShape<S> {
  const { kind, child, section, index, name, ambiguity } = located;
  const value =
    child === undefined
      ? sectionMessage(kind.codec, section, { children, secrets: false })
      : childMessage(located, section, index);
  const resource = create<typeof ResourceSchema>(schema as typeof ResourceSchema, {
    ...{ name, etag: etags.of(located), ambiguity: ambiguity ?? "" },
  });
  resource.kind = { case: child?.kind.case ?? kind.case, value } as Resource["kind"];
  return resource as MessageShape<S>;
}

/** Makes a reader. What it has encoded lives as long as the sections and lines do. */
export function createResourceReader(etags: Etags): ResourceReader {
  const sections = [new WeakMap<Section, KeptSection>(), new WeakMap<Section, KeptSection>()] as const;
  const chunks = new WeakMap<Chunk, KeptChunk>();

  const read = (located: Located, children: boolean) =>
    readResource(ResourceSchema, etags, located, children);

  const encodeChild: ResourceReader["encodeChild"] = (parent, kind, child, { id, chunk, offset }, name) => {
    let kept = chunks.get(chunk);
    if (kept?.parent !== parent) {
      kept = { parent, bytes: [] };
      chunks.set(chunk, kept);
    }
    let bytes = kept.bytes[offset];
    if (bytes === undefined) {
      const line = chunk.at(offset);
      const etag = etags.ofLine(line);
      const resource = create(ResourceSchema, { name: name(), etag });
      resource.kind = {
        case: child.case,
        value: messageOfChild(kind, child, id, line),
      } as Resource["kind"];
      bytes = toBinary(ResourceSchema, resource);
      kept.bytes[offset] = bytes;
    }
    return bytes;
  };

  const encode = (located: Located, children: boolean): Uint8Array => {
    const { kind, section, child, name, ambiguity } = located;
    if (child !== undefined && ambiguity === undefined) {
      const line = childAt(section, kind, child.kind, located.index);
      const parent = `${name.split("/", 2).join("/")}/`;
      if (line !== undefined) return encodeChild(parent, kind, child.kind, line, () => name);
    }
    if (child !== undefined || ambiguity !== undefined)
      return toBinary(ResourceSchema, read(located, children));
    const known = sections[children ? 1 : 0];
    const kept = known.get(section);
    // The same section may be numbered otherwise in another version of the document.
    if (kept?.name === name) return kept.bytes;
    const bytes = toBinary(ResourceSchema, read(located, children));
    known.set(section, { name, bytes });
    return bytes;
  };

  return {
    read,
    encode,
    encodeChild,
  };
}

function childMessage({ kind, child }: Located, section: Section, index: number): Fields {
  return messageOfChild(kind, child!.kind, child!.id, section.lines.at(index)!);
}

/** What a child's line says, without secrets. A line that the grammar cannot read gives the name alone. */
function messageOfChild(
  kind: SectionKind,
  child: ChildKind,
  id: string,
  line: Parameters<typeof readChild>[2],
): Fields {
  const { desc } = child.directive.codec!;
  const typed = readChild(kind, child, line);
  if (typed !== undefined) return withoutSecrets(desc, typed.value as Fields);
  const message = create(desc) as Fields;
  if (!id.startsWith("@")) slotOf(desc.field.name!).set(message, id);
  return message;
}
