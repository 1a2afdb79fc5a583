import {
  create,
  type DescExtension,
  type DescMessage,
  type Message,
  mergeFromBinary,
} from "@bufbuild/protobuf";
import type { GenExtension } from "@bufbuild/protobuf/codegenv2";
import { BinaryReader } from "@bufbuild/protobuf/wire";

/** A descriptor with options, such as a field or a message. */
interface Element {
  readonly proto: { readonly options?: Message | undefined };
}

/**
 * Reads an option of a message type; undefined when it is not set. `getOption` says the same but takes tens of microseconds, since it
 * makes a descriptor anew at each call, and there are thousands of fields to ask at start.
 */
export function optionOf<E extends Message, T extends Message>(
  element: Element,
  option: GenExtension<E, T>,
): T | undefined {
  let message: T | undefined;
  for (const bytes of valuesOf(element, option)) {
    message ??= create(messageOf(option)) as T;
    mergeFromBinary(messageOf(option), message, bytes);
  }
  return message;
}

/** Reads a repeated option of a message type. */
export function optionsOf<E extends Message, T extends Message>(
  element: Element,
  option: GenExtension<E, T[]>,
): T[] {
  return valuesOf(element, option).map(
    (bytes) => mergeFromBinary(messageOf(option), create(messageOf(option)), bytes) as T,
  );
}

function valuesOf(element: Element, option: DescExtension): Uint8Array[] {
  const unknown = element.proto.options?.$unknown ?? [];
  return unknown.filter(({ no }) => no === option.number).map(({ data }) => new BinaryReader(data).bytes());
}

function messageOf(option: DescExtension): DescMessage {
  if (option.message === undefined) throw new TypeError(`${option} is no message`);
  return option.message;
}
