import { locate, namedSections } from "../config/locate.ts";
import { checkReferences, type Written } from "../config/references.ts";
import { DomainError, type FieldViolation } from "../lib/errors.ts";
import { SPOE_NAME, scopeProblems } from "./scope-problems.ts";
import { firstLineOf, type Scope, type SpoeFile } from "./spoe-file.ts";
import { scopeName } from "./spoe-name.ts";

/** Throws `FIELD_INVALID` with one violation for each line for which HAProxy would refuse the file, `REFERENCE_MISSING` with one for each name that nothing has. What the grammar does not know is let through. */
export function checkFile(file: SpoeFile): void {
  const violations = file.scopes.flatMap((scope) => {
    const first = firstLineOf(file, scope);
    return [...linesRefused(scope)].map(
      ({ line, description }): FieldViolation => ({
        field: "data",
        description: `line ${first + line - 1}: ${description}`,
      }),
    );
  });
  if (violations.length > 0)
    throw new DomainError("FIELD_INVALID", `${file.name} ${violations[0]!.description}`, { violations });
  for (const scope of file.scopes) checkReferences(scope.document, everything(file, scope));
}

interface RefusedLine {
  /** Line of the scope, from 1. */
  readonly line: number;
  readonly description: string;
}

function* linesRefused({ document }: Scope): Generator<RefusedLine> {
  for (let line = 1; line <= document.lineCount(0); line++) {
    const { section, index } = document.placeAt({ part: 0, line })!;
    const found = section.lines.at(index)!;
    const mark = section.marks.find((one) => one.index === index);
    if (mark?.kind === "scope") {
      if (!SCOPE_LINE.test(found.text))
        yield {
          line,
          description: "a scope is [ and ] around letters, digits and - _ . :, alone on its line",
        };
    } else if (found.error !== undefined) {
      yield { line, description: `HAProxy cannot split it into words (${found.error.kind})` };
    } else if (section.keyword === "" && mark === undefined && !found.empty) {
      yield { line, description: "only comments may stand before the first section of a scope" };
    }
  }
  for (const { line, kind } of document.armsIn(0).errors)
    yield { line, description: `a conditional block does not begin and end in one scope (${kind})` };
  for (const { section, index, description } of scopeProblems(document))
    yield { line: document.positionOf(section, index).line, description };
}

const SCOPE_LINE = new RegExp(`^\\s*\\[${SPOE_NAME.source.slice(1, -1)}\\]\\s*(#.*)?$`);

function everything(file: SpoeFile, { id, document }: Scope): Written[] {
  return [...namedSections(document)].flatMap(({ kind, id: section }) => {
    const located = locate(document, { kind, section, child: undefined });
    return located === undefined
      ? []
      : [{ located, path: `${scopeName(file.name, id)}/${located.name}`, children: false }];
  });
}
