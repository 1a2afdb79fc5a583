import { readFile } from "node:fs/promises";
import { DomainError } from "../lib/errors.ts";
import type { Owner } from "./managed-directory.ts";

/** Names or numbers of the user and group that files shall have. */
export interface OwnerSettings {
  readonly user: string | undefined;
  readonly group: string | undefined;
}

/** The system's lists of users and groups. */
const FILES = { user: "/etc/passwd", group: "/etc/group" };

/** Looks user and group up. Throws `NOT_SUPPORTED` for one that the system does not have. */
export async function findOwner({ user, group }: OwnerSettings): Promise<Owner> {
  return { uid: await numberOf("user", user), gid: await numberOf("group", group) };
}

async function numberOf(kind: keyof typeof FILES, name: string | undefined): Promise<number | undefined> {
  if (name === undefined) return undefined;
  if (/^\d{1,9}$/.test(name)) return Number(name);
  const lines = (await readFile(FILES[kind], "utf8")).split("\n");
  const number = lines.map((line) => line.split(":")).find(([first]) => first === name)?.[2];
  if (number !== undefined) return Number(number);
  throw new DomainError("NOT_SUPPORTED", `${FILES[kind]} has no ${kind} ${name}; write its number instead`, {
    metadata: { needs: `${kind} ${name}` },
  });
}
