import type { Section } from "../text/section.ts";
import { type ReadOptions, readSection } from "./read-section.ts";
import { withoutSecrets } from "./secrets.ts";
import type { SectionCodec } from "./section-codec.ts";
import { type Fields, slotOf } from "./slot.ts";
import { unmodelledLines } from "./unmodelled.ts";

/** How much of a section its message tells. */
export interface MessageOptions extends ReadOptions {
  /** Passwords and the like are in the message. It must then not leave the process. */
  readonly secrets: boolean;
}

/**
 * The message of a section: its name, what it inherits from, the fields of its directives, and the lines that have none. Messages in
 * it are shared with other readings and must not be changed.
 */
export function sectionMessage(codec: SectionCodec, section: Section, options: MessageOptions): Fields {
  const reading = readSection(codec, section, options);
  const message = options.secrets ? reading.message : withoutSecrets(codec.desc, reading.message);
  const { name, from, unmodelled } = codec.roles;
  if (name !== undefined && section.name !== "") slotOf(name.field).set(message, section.name);
  if (from !== undefined && section.from !== undefined) slotOf(from.field).set(message, section.from);
  if (unmodelled !== undefined)
    slotOf(unmodelled.field).set(message, unmodelledLines(codec, section, reading));
  return message;
}
