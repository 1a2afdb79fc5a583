import type { Words } from "./phrase.ts";
import type { Fields } from "./slot.ts";

/** A directive that is read and written by hand, since no combination of annotations can say it. */
export interface LineForm {
  /** Full name of the message that it reads. */
  readonly message: string;
  /** Fills an empty message from the words behind the keyword; false when they are none of its forms. */
  read(message: Fields, words: Words, from: number): boolean;
  /** The words behind the keyword. */
  write(message: Fields): string[];
}
