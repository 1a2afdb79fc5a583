import { create, type DescField, type DescMessage, type Message, ScalarType } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, type YAMLMap } from "yaml";
import { SettingsSchema } from "../../gen/haplane/settings/v1/settings_pb.js";
import type { Given } from "./given.ts";
import { readValue, type Value } from "./read-value.ts";
import { settingOf } from "./schema.ts";

/** Settings are a page; whatever is larger is something else. */
const MAX_LENGTH = 1024 * 1024;

/** A place in the file: the node, and its path from the root, such as `users[0].role`. */
interface Place {
  readonly node: Node | null | undefined;
  readonly path: string;
}

/** Reads a settings file: YAML in the schema of `haplane.settings.v1.Settings`. Everything that is wrong is added to the problems, with line, column and path. */
export function readSettingsFile(name: string, text: string, problems: string[]): ReadonlyMap<string, Given> {
  const given = new Map<string, Given>();
  if (text.length > MAX_LENGTH) {
    problems.push(`${name}: has more than ${MAX_LENGTH} characters`);
    return given;
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `${name}:${line}:${col}`;
  };
  for (const { message, pos } of [...document.errors, ...document.warnings])
    problems.push(`${at(pos[0])}: ${message}`);
  if (document.errors.length > 0) return given;

  const { contents } = document;
  // A file of comments says nothing, and that is allowed.
  if (contents === null || (isScalar(contents) && contents.value === null)) return given;
  const reader = createReader((place, problem) => {
    const where = at(place.node?.range?.[0] ?? 0);
    problems.push(`${where}: ${place.path === "" ? "the file" : place.path} ${problem}`);
    return undefined;
  });
  for (const { field, place, value } of reader.fields(SettingsSchema, { node: contents, path: "" }))
    given.set(field.name, { value, place: `${at(place.node?.range?.[0] ?? 0)}: ${place.path}` });
  return given;
}

type Report = (place: Place, problem: string) => undefined;

function createReader(report: Report) {
  /** The fields that a mapping gives, and can be read. */
  function fields(
    message: DescMessage,
    place: Place,
  ): { field: DescField; place: Place; value: Given["value"] }[] {
    const { node } = place;
    if (!isMap(node)) {
      report(
        place,
        isAlias(node) ? "is an alias; write the value itself" : `must be a mapping of names to values`,
      );
      return [];
    }
    return entriesOf(node, place.path).flatMap(({ key, name, value }) => {
      const field = message.fields.find((one) => one.name === name.replaceAll("-", "_"));
      if (field === undefined) {
        report(key, `is no setting${hint(name, message)}`);
        return [];
      }
      const read = readField(field, { node: value, path: key.path });
      return read === undefined
        ? []
        : [{ field, place: { node: value ?? key.node, path: key.path }, value: read }];
    });
  }

  function readField(field: DescField, place: Place): Given["value"] | undefined {
    if (field.fieldKind !== "list") return readScalar(field, place);
    const { node, path } = place;
    // One text stands for a list of one.
    const items: (Node | null)[] = isSeq<Node | null>(node) ? node.items : [node ?? null];
    const places = items.map((item, index) => ({
      node: item ?? node,
      path: isSeq(node) ? `${path}[${index}]` : path,
    }));
    if (field.message !== undefined) {
      const { message } = field;
      return places.map((one) => readMessage(message, one));
    }
    const values = places.map((one) => readScalar(field, one));
    return values.every((value) => value !== undefined) ? (values as Value[]) : undefined;
  }

  function readMessage(desc: DescMessage, place: Place): Message {
    const message = reflect(desc, create(desc));
    const given = fields(desc, place);
    for (const { field, value } of given) {
      if (field.fieldKind !== "list") message.set(field, value as Value);
      else for (const each of value as readonly Value[]) message.get(field).add(each);
    }
    if (isMap(place.node)) {
      // What stands there and is wrong has been told already.
      const said = new Set(entriesOf(place.node, place.path).map(({ name }) => name.replaceAll("-", "_")));
      for (const field of desc.fields)
        if (settingOf(field).required && !said.has(field.name))
          report(place, `has no ${field.name}: ${settingOf(field).help}`);
    }
    return message.message;
  }

  function readScalar(field: DescField, place: Place): Value | undefined {
    const { node } = place;
    if (isAlias(node)) return report(place, "is an alias; write the value itself");
    if (!isScalar(node) || node.value === null) return report(place, "must be one value");
    const { value } = node;
    if (field.scalar === ScalarType.BOOL) {
      if (typeof value === "boolean") return value;
      return report(place, `is ${JSON.stringify(value)}; write true or false`);
    }
    // The source of a plain scalar: `0123` and `1e3` are not the numbers that YAML makes of them.
    const text = typeof value === "string" ? value : (node.source ?? String(value));
    const read = readValue(field, text);
    if ("problem" in read) return report(place, read.problem);
    return read.value;
  }

  return { fields };
}

function entriesOf(map: YAMLMap, path: string): { key: Place; name: string; value: Node | null }[] {
  return map.items.map(({ key, value }) => {
    const name = isScalar(key) ? String(key.value) : "?";
    return {
      key: { node: key as Node, path: path === "" ? name : `${path}.${name}` },
      name,
      value: value as Node | null,
    };
  });
}

/** The name that was probably meant. */
function hint(name: string, { fields }: DescMessage): string {
  const known = fields.map((field) => field.name);
  const wanted = name.replaceAll("-", "_").toLowerCase();
  const near = known.find((one) => one.startsWith(wanted) || wanted.startsWith(one) || isNear(one, wanted));
  return near === undefined ? "; haplane help lists them" : `; did you mean ${near}?`;
}

/** Whether one letter less, more or different makes one of the other, or two that changed places. */
function isNear(a: string, b: string): boolean {
  if (Math.abs(a.length - b.length) > 1) return false;
  let start = 0;
  while (start < a.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < Math.min(a.length, b.length) - start && a.at(-1 - end) === b.at(-1 - end)) end += 1;
  const [left, right] = [a.slice(start, a.length - end), b.slice(start, b.length - end)];
  return Math.max(left.length, right.length) <= 1 || left === [...right].reverse().join("");
}
