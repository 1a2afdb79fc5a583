import { type DescField, type DescMessage, type JsonValue, type Message, toJson } from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { UnmodelledLineSchema } from "../../gen/haplane/config/v1/section_pb.js";

/**
 * A message as JSON for the log: fields marked `debug_redact`, and lines as text, say only that they are set. What lies beyond about so many characters is left out, and costs nothing: a request may have thousands of parts of
 * which a line of a log tells the first few.
 */
export function redactedJson(
  schema: DescMessage,
  message: Message,
  characters = Number.POSITIVE_INFINITY,
): JsonValue {
  const copy = copyOf(reflect(schema, message), { left: characters });
  return toJson(schema, copy.message);
}

/** How much more is to be copied, in characters of JSON; what is counted is less than what they become. */
interface Room {
  left: number;
}

function copyOf(from: ReflectMessage, room: Room): ReflectMessage {
  const to = reflect(from.desc);
  for (const field of from.fields) {
    if (room.left <= 0) break;
    if (!from.isSet(field)) continue;
    room.left -= field.name.length;
    if (isSecret(field)) {
      if (field.fieldKind === "scalar" && typeof from.get(field) === "string") to.set(field, "[redacted]");
    } else if (field.fieldKind === "message") {
      to.set(field, copyOf(from.get(field), room));
    } else if (field.fieldKind === "list") {
      const list = to.get(field);
      for (const item of from.get(field)) {
        if (room.left <= 0) break;
        list.add(partOf(field.listKind === "message" ? "message" : "value", item, room));
      }
    } else if (field.fieldKind === "map") {
      const map = to.get(field);
      for (const [key, value] of from.get(field)) {
        if (room.left <= 0) break;
        map.set(key, partOf(field.mapKind === "message" ? "message" : "value", value, room));
      }
    } else {
      to.set(field, partOf("value", from.get(field), room));
    }
  }
  return to;
}

function partOf(kind: "message" | "value", part: unknown, room: Room): unknown {
  if (kind === "message") return copyOf(part as ReflectMessage, room);
  if (typeof part !== "string" && !(part instanceof Uint8Array)) {
    room.left -= 1;
    return part;
  }
  const kept = part.length > room.left ? part.slice(0, room.left) : part;
  room.left -= kept.length;
  return kept;
}

/** A line as text is one that no field stands for: which of its words are secret cannot be said, and its readers are shown it as far as it can be. */
function isSecret(field: DescField): boolean {
  return field.proto.options?.debugRedact === true || field === UnmodelledLineSchema.field.text;
}
