import { changedNames } from "../config/changed-names.ts";
import { Document } from "../text/document.ts";
import { SPOE_SECTIONS } from "../text/structure.ts";
import { type SpoeFile, UNNAMED } from "./spoe-file.ts";
import { scopeName } from "./spoe-name.ts";

/** Names of the resources that are not the same in two versions of a file: scopes that came or went, and what is in scopes. */
export function changedSpoe(before: SpoeFile, after: SpoeFile): string[] {
  const names: string[] = [];
  for (const id of new Set([...before.scopes, ...after.scopes].map((scope) => scope.id))) {
    const [was, is] = [before, after].map(({ scopes }) => scopes.find((scope) => scope.id === id)?.document);
    if (was === is) continue;
    const name = scopeName(after.name, id);
    if (id !== UNNAMED && (was === undefined || is === undefined)) names.push(name);
    const inner = changedNames(was ?? NOTHING, is ?? NOTHING);
    names.push(...inner.map((one) => `${name}/${one}`));
  }
  return names;
}

const NOTHING = Document.parse([], SPOE_SECTIONS);
