import type { Document } from "../text/document.ts";
import { sectionReader } from "./section-lines.ts";

/** A user of a userlist (configuration manual, 12.2). */
export interface ListedUser {
  readonly name: string;
  /** In clear (`insecure-password`), or as crypt(3) writes it (`password`). */
  readonly password: { readonly kind: "clear" | "hashed"; readonly text: string };
}

/** Users without a password, or with one that only the environment of HAProxy knows, are not among them. */
const usersOf = sectionReader((line): ListedUser | undefined => {
  const [keyword, name, ...rest] = line.words;
  if (keyword?.value !== "user" || name === undefined) return undefined;
  const at = rest.findIndex(({ value }) => value === "password" || value === "insecure-password");
  const word = rest[at + 1];
  if (at < 0 || word === undefined || word.reference) return undefined;
  const kind = rest[at]!.value === "password" ? "hashed" : "clear";
  return { name: name.value, password: { kind, text: word.value } };
});

/** The user of this name in a userlist; undefined when there is none, or when it is not known which one holds. */
export function findUser(document: Document, userlist: string, name: string): ListedUser | undefined {
  const users = listUsers(document, userlist).filter((user) => user.name === name);
  return users.length === 1 ? users[0] : undefined;
}

/** All users of a userlist; none when it is not known which userlist of this name holds. */
export function listUsers(document: Document, userlist: string): readonly ListedUser[] {
  const [section, ...others] = document.find("userlist", userlist);
  if (section === undefined || others.length > 0 || document.armOf(section) !== undefined) return [];
  return usersOf(section);
}
