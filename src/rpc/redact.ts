import {
  clone,
  type DescField,
  type DescMessage,
  type JsonValue,
  type Message,
  toJson,
} from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";

/** A message as JSON for the log: fields marked `debug_redact` say only that they are set. */
export function redactedJson(schema: DescMessage, message: Message): JsonValue {
  const copy = clone(schema, message);
  redact(reflect(schema, copy));
  return toJson(schema, copy);
}

function redact(message: ReflectMessage): void {
  for (const field of message.fields) {
    if (!message.isSet(field)) continue;
    if (isSecret(field)) hide(message, field);
    else if (field.fieldKind === "message") redact(message.get(field));
    else if (field.fieldKind === "list" && field.listKind === "message") {
      for (const item of message.get(field)) redact(item as ReflectMessage);
    } else if (field.fieldKind === "map" && field.mapKind === "message") {
      for (const item of message.get(field).values()) redact(item as ReflectMessage);
    }
  }
}

function isSecret(field: DescField): boolean {
  return field.proto.options?.debugRedact === true;
}

function hide(message: ReflectMessage, field: DescField): void {
  if (field.fieldKind === "scalar" && typeof message.get(field) === "string")
    message.set(field, "[redacted]");
  else message.clear(field);
}
