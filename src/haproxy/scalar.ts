/** A value that HAProxy prints: a whole number as a number, as bigint beyond 2^53, and anything else as text. */
export type Scalar = string | number | bigint;

const WHOLE = /^(?:0|-?[1-9]\d*)$/;

/** Reads a value without losing anything: `String(readScalar(text)) === text`. */
export function readScalar(text: string): Scalar {
  const first = text.charCodeAt(0);
  // Not a digit and no minus sign: most of what is not a number ends here.
  if ((first < 48 || first > 57) && first !== 45) return text;
  if (!WHOLE.test(text)) return text;
  if (text.length <= 15) return Number(text);
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : BigInt(text);
}
