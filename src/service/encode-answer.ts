import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

/** A field of an answer that is put together from ready bytes. */
export type AnswerField =
  | { readonly no: number; readonly bytes: Uint8Array }
  | { readonly no: number; readonly text: string }
  | { readonly no: number; readonly int64: number };

/** Puts an answer together from its fields, in the order of their numbers. Numbers and texts that are zero or empty are left out, as proto3 does. */
export function encodeAnswer(fields: Iterable<AnswerField>): Uint8Array {
  const writer = new BinaryWriter();
  for (const field of fields) {
    if ("bytes" in field) writer.tag(field.no, WireType.LengthDelimited).bytes(field.bytes);
    else if ("text" in field) {
      if (field.text !== "") writer.tag(field.no, WireType.LengthDelimited).string(field.text);
    } else if (field.int64 !== 0) writer.tag(field.no, WireType.Varint).int64(field.int64);
  }
  return writer.finish();
}
