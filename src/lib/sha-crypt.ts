import { createHash, timingSafeEqual } from "node:crypto";

/** What a hash of SHA-crypt holds: `$5$` and `$6$` of crypt(3), the form that userlists of HAProxy have (configuration manual, 12.2). */
interface Scheme {
  readonly algorithm: "sha256" | "sha512";
  readonly size: number;
  /** The bytes of the digest in the order in which they are written, three by three; the last group may be short. */
  readonly order: readonly (readonly number[])[];
}

const SHA256: Scheme = {
  algorithm: "sha256",
  size: 32,
  order: [...Array.from({ length: 10 }, (_, i) => rotated(i, 10)), [31, 30]],
};
const SHA512: Scheme = {
  algorithm: "sha512",
  size: 64,
  order: [...Array.from({ length: 21 }, (_, i) => rotated(i, 21, 2)), [63]],
};

const ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const ROUNDS = { default: 5_000, least: 1_000, most: 999_999_999 };
const MAX_SALT = 16;

/** More rounds take longer than a second: whoever could write such a hash could hold up everybody else's passwords. */
export const MAX_ROUNDS = 500_000;

/** A hash, taken apart. */
export interface ShaCrypt {
  readonly scheme: 5 | 6;
  readonly rounds: number;
  readonly salt: string;
  readonly digest: string;
}

/** Reads `$5$…` or `$6$…`; undefined when it is something else. */
export function parseShaCrypt(hash: string): ShaCrypt | undefined {
  const match = /^\$([56])\$(?:rounds=(\d{1,9})\$)?([^$]*)\$([./0-9A-Za-z]+)$/.exec(hash);
  if (match === null) return undefined;
  const [, scheme, rounds, salt = "", digest = ""] = match;
  const asked = rounds === undefined ? ROUNDS.default : Number(rounds);
  return {
    scheme: scheme === "5" ? 5 : 6,
    rounds: Math.min(Math.max(asked, ROUNDS.least), ROUNDS.most),
    salt: Buffer.from(salt).subarray(0, MAX_SALT).toString(),
    digest,
  };
}

/** Whether a password has this hash. It takes some 5 to 10 ms for 5,000 rounds, in proportion to the rounds: not for the event loop. */
export function verifyShaCrypt(password: string, hash: ShaCrypt): boolean {
  const expected = Buffer.from(hash.digest);
  const found = Buffer.from(shaCrypt(password, hash));
  return expected.length === found.length && timingSafeEqual(expected, found);
}

/** The digest of a password, as the hash writes it. */
function shaCrypt(password: string, { scheme, rounds, salt: saltText }: ShaCrypt): string {
  const { algorithm, size, order } = scheme === 5 ? SHA256 : SHA512;
  const [key, salt] = [Buffer.from(password), Buffer.from(saltText)];
  const digestOf = (...parts: readonly Uint8Array[]) => {
    const hash = createHash(algorithm);
    for (const part of parts) hash.update(part);
    return hash.digest();
  };
  const alternate = digestOf(key, salt, key);
  const parts: Uint8Array[] = [key, salt, stretched(alternate, key.length)];
  for (let bits = key.length; bits > 0; bits >>= 1) parts.push((bits & 1) === 1 ? alternate : key);
  let digest = digestOf(...parts);
  const p = stretched(digestOf(...Array.from(key, () => key)), key.length);
  const s = stretched(digestOf(...Array.from({ length: 16 + digest[0]! }, () => salt)), salt.length);
  for (let round = 0; round < rounds; round++) {
    const hash = createHash(algorithm);
    const odd = (round & 1) === 1;
    hash.update(odd ? p : digest);
    if (round % 3 !== 0) hash.update(s);
    if (round % 7 !== 0) hash.update(p);
    hash.update(odd ? digest : p);
    digest = hash.digest();
  }
  if (digest.length !== size) throw new Error(`${algorithm} has another size than ${size}`);
  return order.map((group) => encode(group.map((index) => digest[index]!))).join("");
}

/** A digest, repeated and cut to a length. */
function stretched(digest: Buffer, length: number): Buffer {
  const out = Buffer.alloc(length);
  for (let at = 0; at < length; at += digest.length) digest.copy(out, at);
  return out;
}

/** Big-endian bytes as characters of six bits, the lowest first. */
function encode(bytes: readonly number[]): string {
  let value = bytes.reduce((sum, byte) => (sum << 8) | byte, 0);
  let text = "";
  for (let i = 0; i < bytes.length + 1; i++) {
    text += ALPHABET[value & 63];
    value >>= 6;
  }
  return text;
}

/** The three bytes of group `i`: one of each third of the digest, the thirds in another order with each group. */
function rotated(i: number, third: number, step = 1): number[] {
  const bytes = [i, i + third, i + 2 * third];
  const shift = step === 1 ? (i * 2) % 3 : i % 3;
  return [...bytes.slice(shift), ...bytes.slice(0, shift)];
}
