import type { FileSystem } from "../lib/durable-file.ts";

/** Writes a new file that only its owner may read, for a moment: nothing makes it durable. */
export async function writePrivate(fs: FileSystem, path: string, bytes: Uint8Array): Promise<void> {
  const file = await fs.open(path, "wx", 0o600);
  try {
    await file.writeFile(bytes);
  } finally {
    await file.close();
  }
}
