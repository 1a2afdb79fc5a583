import { Role } from "../../gen/haplane/v1/options_pb.js";

/** The roles that somebody can have, by their words. */
const ROLES = new Map(
  [Role.VIEWER, Role.OPERATOR, Role.EDITOR, Role.ADMIN].map((role) => [roleName(role), role]),
);

/** The word for a role, as in `viewer`. */
export function roleName(role: Role): string {
  return (Role[role] ?? "unspecified").toLowerCase();
}

/** The role of a word; undefined when there is none. */
export function roleNamed(word: string): Role | undefined {
  return ROLES.get(word);
}

/** The words of all roles, the least first. */
export const ROLE_NAMES: readonly string[] = [...ROLES.keys()];
