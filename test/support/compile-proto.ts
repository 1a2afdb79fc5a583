import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { createFileRegistry, type FileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

const PROTO = fileURLToPath(new URL("../../proto/", import.meta.url));

/**
 * Compiles our protos with changes: `edits` gives for a path below `proto/` its new text, made from the old one (empty when there is
 * none).
 */
export function compileProtos(edits: Readonly<Record<string, (old: string) => string>>): FileRegistry {
  const directory = mkdtempSync(join(tmpdir(), "haplane-proto-"));
  try {
    const root = join(directory, "proto");
    for (const part of ["haplane/grammar", "haplane/config"])
      cpSync(join(PROTO, part), join(root, part), { recursive: true });
    for (const [path, edit] of Object.entries(edits)) {
      const file = join(root, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, edit(readIfThere(file)));
    }
    writeFileSync(join(directory, "buf.yaml"), "version: v2\nmodules:\n  - path: proto\n");
    const image = execFileSync("buf", ["build", "-o", "-#format=binpb"], {
      cwd: directory,
      maxBuffer: 64 * 1024 * 1024,
    });
    return createFileRegistry(fromBinary(FileDescriptorSetSchema, image));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
