import { type DescExtension, type DescFile, type DescService, toBinary } from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";

/** Descriptors as reflection is asked for them: by file, by symbol, by extension. */
export interface DescriptorIndex {
  /** Full names of the services, sorted. */
  readonly services: readonly string[];
  /** The encoded FileDescriptorProto of a file and of all it depends on, dependencies first. */
  byFilename(name: string): readonly Uint8Array[] | undefined;
  /** The same for the file that declares a symbol: message, enum, extension, service, or one of their fields, values and methods. */
  bySymbol(name: string): readonly Uint8Array[] | undefined;
  /** The same for the file that declares an extension. */
  byExtension(extendee: string, number: number): readonly Uint8Array[] | undefined;
  /** The numbers of the extensions of a message, ascending; undefined when there is no such message. */
  extensionNumbers(extendee: string): readonly number[] | undefined;
}

/** Indexes the files of these services, others that their clients may meet, and all they depend on. */
export function indexDescriptors(
  services: readonly DescService[],
  others: readonly DescFile[] = [],
): DescriptorIndex {
  const files = closure([...services.map(({ file }) => file), ...others]);
  const byName = new Map(files.map((file) => [`${file.name}.proto`, file]));
  const symbols = new Map<string, DescFile>();
  const extensions = new Map<string, Map<number, DescExtension>>();
  for (const file of files) {
    for (const desc of nestedTypes(file)) {
      symbols.set(desc.typeName, file);
      if (desc.kind === "enum") {
        const scope = desc.typeName.slice(0, -desc.name.length);
        for (const value of desc.values) symbols.set(scope + value.name, file);
      }
      if (desc.kind === "extension") {
        const ofMessage = extensions.get(desc.extendee.typeName) ?? new Map<number, DescExtension>();
        extensions.set(desc.extendee.typeName, ofMessage.set(desc.number, desc));
      }
    }
  }

  const encode = memoize((file: DescFile) => toBinary(FileDescriptorProtoSchema, file.proto));
  const encodeClosure = memoize((file: DescFile) => closure([file]).map(encode));
  const encoded = (file: DescFile | undefined) => (file === undefined ? undefined : encodeClosure(file));
  return {
    services: services.map(({ typeName }) => typeName).sort(),
    byFilename: (name) => encoded(byName.get(name)),
    bySymbol: (name) => encoded(symbols.get(name) ?? symbols.get(parentOf(name))),
    byExtension: (extendee, number) => encoded(extensions.get(extendee)?.get(number)?.file),
    extensionNumbers(extendee) {
      const found = extensions.get(extendee);
      if (found === undefined) return symbols.has(extendee) ? [] : undefined;
      return [...found.keys()].sort((a, b) => a - b);
    },
  };
}

/** Files and all they import, dependencies before dependents, each once. */
function closure(files: readonly DescFile[]): DescFile[] {
  const seen = new Set<DescFile>();
  const ordered: DescFile[] = [];
  const visit = (file: DescFile): void => {
    if (seen.has(file)) return;
    seen.add(file);
    file.dependencies.forEach(visit);
    ordered.push(file);
  };
  files.forEach(visit);
  return ordered;
}

function parentOf(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf(".")));
}

function memoize<K extends object, V>(compute: (key: K) => V): (key: K) => V {
  const known = new Map<K, V>();
  return (key) => {
    const value = known.get(key) ?? compute(key);
    known.set(key, value);
    return value;
  };
}
