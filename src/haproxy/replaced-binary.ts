import { readlinkSync } from "node:fs";

/**
 * Whether the binary that a process runs was replaced or removed on disk since it began, as an upgrade does. False where it cannot be seen: another user's process, or a system without /proc.
 */
export function isBinaryReplaced(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/exe`).endsWith(" (deleted)");
  } catch {
    return false;
  }
}
