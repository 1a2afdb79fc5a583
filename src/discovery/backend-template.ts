/** How backends are called when a source does not say. */
export const DEFAULT_BACKEND_NAMES = {
  consul: "consul-backend-{address}-{port}-{service}",
  dns: "{source}-{service}",
} as const;

const PLACEHOLDER = /\{([a-z]*)\}/g;
const KNOWN = { consul: ["service", "address", "port", "source"], dns: ["service", "source"] };
const MAX_LENGTH = 128;

/** What is put in the places of a template. */
export interface TemplateValues {
  readonly service: string;
  readonly address: string;
  readonly port: string;
  readonly source: string;
}

/** Why a template cannot be used; undefined when it can. */
export function templateViolation(template: string, registry: keyof typeof KNOWN): string | undefined {
  const known = KNOWN[registry];
  if (template.length > MAX_LENGTH) return `must have at most ${MAX_LENGTH} characters`;
  const names = [...template.matchAll(PLACEHOLDER)].map(([, name = ""]) => name);
  if (names.filter((name) => name === "service").length !== 1) return "must have {service} in it, once";
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined)
    return `has {${unknown}}; known are ${known.map((name) => `{${name}}`).join(", ")}`;
  if (/[^A-Za-z0-9_.:-]/.test(template.replace(PLACEHOLDER, "")))
    return "must have only letters, digits, -, _, . and : outside of braces";
  return undefined;
}

/** The template with its places filled. */
export function fillTemplate(template: string, values: TemplateValues): string {
  return template.replace(PLACEHOLDER, (_, name: keyof TemplateValues) => values[name]);
}
