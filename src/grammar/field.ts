import { type DescEnum, type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";

/** The message of a field or of its elements. */
export function messageOf(field: DescField): DescMessage | undefined {
  return field.fieldKind === "message" || (field.fieldKind === "list" && field.listKind === "message")
    ? field.message
    : undefined;
}

/** The enum of a field or of its elements. */
export function enumOf(field: DescField): DescEnum | undefined {
  return field.fieldKind === "enum" || (field.fieldKind === "list" && field.listKind === "enum")
    ? field.enum
    : undefined;
}

/** The scalar type of a field or of its elements. */
export function scalarTypeOf(field: DescField): ScalarType | undefined {
  return field.fieldKind === "scalar" || (field.fieldKind === "list" && field.listKind === "scalar")
    ? field.scalar
    : undefined;
}

/** True when a message can tell an unset field from one that is false, zero or empty. */
export function hasPresence(field: DescField): boolean {
  return field.presence === FeatureSet_FieldPresence.EXPLICIT;
}

/** True for a single bool. */
export function isBool(field: DescField): boolean {
  return field.fieldKind === "scalar" && field.scalar === ScalarType.BOOL;
}
