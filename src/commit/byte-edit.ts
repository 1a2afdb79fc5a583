import type { Content } from "../lib/content.ts";
import type { Edit as ByteEdit } from "../store/delta.ts";

let last: { readonly before: Content; readonly after: Content; readonly edit: ByteEdit } | undefined;

/** The one stretch in which two contents differ. Those that were compared last are not compared again, since an intent and its revision ask for the same. */
export function byteEdit(before: Content, after: Content): ByteEdit {
  if (last?.before !== before || last.after !== after) last = { before, after, edit: compare(before, after) };
  return last.edit;
}

/** Whether two contents are the same. Where they are not, how they differ is asked next, and known by then. */
export function isUnchanged(before: Content, after: Content): boolean {
  const { length, bytes } = byteEdit(before, after);
  return length === 0 && bytes.length === 0;
}

function compare(before: Content, after: Content): ByteEdit {
  const shorter = Math.min(before.length, after.length);
  const head = before.commonHead(after, shorter);
  const tail = before.commonTail(after, shorter - head);
  return { offset: head, length: before.length - head - tail, bytes: after.slice(head, after.length - tail) };
}
