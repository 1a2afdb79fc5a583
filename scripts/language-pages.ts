/**
 * Writes docs/keywords.txt (every field and the keyword it stands for, which `buf breaking` does not see) and docs/language.md (the same
 * for people) from the annotated descriptors. `node scripts/language-pages.ts`
 */

import { writeFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { configGrammar } from "../src/grammar/config-grammar.ts";
import { FORM_NAMES } from "../src/grammar/forms.ts";
import type { Grammar } from "../src/grammar/grammar.ts";
import { spoeGrammar } from "../src/grammar/spoe-grammar.ts";
import { directives, type Entry, parts, spanText } from "./language/catalogue.ts";

/** What the pages are about: the languages of haproxy.cfg and of SPOE files, as one. */
export function bothGrammars(): Grammar {
  return { ...configGrammar(), sections: [...configGrammar().sections, ...spoeGrammar().sections] };
}

/** The list of fields and keywords, one a line. */
export function keywordList(grammar: Grammar): string {
  const lines = [...directives(grammar), ...parts(grammar)].map(({ where, keyword, field, form, span }) =>
    [field, where, keyword, form, spanText(span)].join("\t").trimEnd(),
  );
  return `# Every field of the configuration and of SPOE files, and the keyword it stands for: field, where, keyword, form, versions (none: 2.6 and newer).
# Written by scripts/language-pages.ts.
${lines.join("\n")}
`;
}

/** The page about the language, as Markdown. */
export function languagePage(grammar: Grammar): string {
  const sections = grammar.sections.map((codec) => {
    const kinds = [...codec.kinds.values()].map(({ keyword, span }) => {
      const versions = spanText(span);
      return versions === "" ? `\`${keyword}\`` : `\`${keyword}\` (${versions})`;
    });
    const own = directives({ ...grammar, sections: [codec] });
    return `## ${codec.desc.name}: ${kinds.join(", ")}\n\n${table(own, codec.kinds.size > 1)}`;
  });
  const lines = parts(grammar);
  const messages = [...new Set(lines.map(({ where }) => where))].map(
    (message) =>
      `### ${message}\n\n${table(
        lines.filter(({ where }) => where === message),
        false,
      )}`,
  );
  return `# The languages of haproxy.cfg and of SPOE files, and the fields that stand for them

<!-- Written by scripts/language-pages.ts from proto/haplane/config/v1 and proto/haplane/spoe/v1. -->

For each section the directives it knows, with the field of its message, how the value is written, and the HAProxy versions that have
it (none given: 2.6 and newer). Forms: *flag* is the keyword alone; *flag, no flag* has a negative as well; *word*, *number*, *time*, *size*, *address*
… are one word; *expression*, *condition* and *text* may be several words, kept as they are written; \`X*\` is a line (or a keyword) for each
element, \`X[,]\` one word with the elements in it, \`X…\` all words that remain; a name is a message, described below. Hand-written forms: ${FORM_NAMES.map((name) => `\`${name}\``).join(", ")}.

${sections.join("\n\n")}

## Parts of lines

${messages.join("\n\n")}
`;
}

function table(entries: readonly Entry[], withWhere: boolean): string {
  const rows = entries.map(({ where, keyword, field, form, span }) => {
    const name = field.slice(field.indexOf(".") + 1);
    const cells = [`\`${keyword}\``, `\`${name}\``, form, ...(withWhere ? [where] : []), spanText(span)];
    return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  });
  if (rows.length === 0) return "No parameters.";
  const head = ["keyword", "field", "form", ...(withWhere ? ["sections"] : []), "versions"];
  return [`| ${head.join(" | ")} |`, `|${" --- |".repeat(head.length)}`, ...rows].join("\n");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const grammar = bothGrammars();
  writeFileSync(new URL("../docs/keywords.txt", import.meta.url), keywordList(grammar));
  writeFileSync(new URL("../docs/language.md", import.meta.url), languagePage(grammar));
}
