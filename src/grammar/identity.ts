import type { DescField, DescMessage } from "@bufbuild/protobuf";
import type { Fields } from "./slot.ts";

const IDENTITY_FIELDS: ReadonlySet<string> = new Set(["name", "user"]);

/** What names an element of a list, where its elements have a name: servers, ACLs, users. Undefined for one without. */
export function identityOf(desc: DescMessage, element: Fields): string | undefined {
  const field = identityField(desc);
  const name = field === undefined ? undefined : element[field.localName];
  return typeof name === "string" && name !== "" ? name : undefined;
}

function identityField(desc: DescMessage): DescField | undefined {
  return desc.fields.find(({ name, fieldKind }) => fieldKind === "scalar" && IDENTITY_FIELDS.has(name));
}
