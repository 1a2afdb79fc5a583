/**
 * The alternative names of a certificate, from the text that Node makes of them: `DNS:a.example, URI:spiffe://b`. Node writes a name with odd characters as a JSON string; a comma in it must not
 * look like the beginning of another name.
 */
export function alternativeNames(text: string): string[] {
  return [...text.matchAll(/([\w ]+):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/g)].map(([, kind, name = ""]) => {
    if (!name.startsWith('"')) return `${kind}:${name}`;
    try {
      return `${kind}:${JSON.parse(name) as string}`;
    } catch {
      return `${kind}:${name}`;
    }
  });
}
