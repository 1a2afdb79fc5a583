/** A number of bytes as the API has it. Beyond what a number holds there is no file. */
export function numberOf(size: bigint): number {
  return Number(size > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : size);
}
