import { create, type DescField, type DescMessage, type Message } from "@bufbuild/protobuf";

/** A message as the codecs see it: they find its fields by name, and their types in the descriptor. */
export type Fields = Message & Record<string, unknown>;

/** The state of a oneof. */
interface OneofState {
  readonly case: string | undefined;
  readonly value?: unknown;
}

/** How a message keeps the value of one field. */
export interface Slot {
  /** The value; undefined when the field is not set. A repeated field is never unset. */
  get(message: Fields): unknown;
  set(message: Fields, value: unknown): void;
}

/** The slot of a field. A bool or number without presence counts as unset when it is false or zero. */
export function slotOf(field: DescField): Slot {
  const name = field.localName;
  if (field.oneof !== undefined) {
    const oneof = field.oneof.localName;
    return {
      get(message) {
        const state = message[oneof] as OneofState;
        return state.case === name ? state.value : undefined;
      },
      set(message, value) {
        message[oneof] = { case: name, value };
      },
    };
  }
  return {
    get: (message) => message[name],
    set(message, value) {
      message[name] = value;
    },
  };
}

/** Makes a function that makes empty messages, as `create` does but faster. */
export function creatorOf(desc: DescMessage): () => Fields {
  const empty = compact(create(desc) as Fields);
  const lists = desc.fields.filter((field) => field.fieldKind === "list").map((field) => field.localName);
  const oneofs = desc.oneofs.map((oneof) => oneof.localName);
  return () => {
    const message = { ...empty };
    for (let i = 0; i < lists.length; i++) message[lists[i]!] = [];
    for (let i = 0; i < oneofs.length; i++) message[oneofs[i]!] = { case: undefined };
    return message;
  };
}

/**
 * The same object in the layout that V8 copies fast. One that was filled name by name has become a hash table, and so would all its
 * copies.
 */
function compact(message: Fields): Fields {
  return JSON.parse(JSON.stringify(message)) as Fields;
}
