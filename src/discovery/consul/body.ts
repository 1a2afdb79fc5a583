import { hash } from "node:crypto";
import { DomainError } from "../../lib/errors.ts";

/** The body of an answer. Most say what the one before said, and some are large: so it is read only where its digest is new. */
export interface Body {
  /** Two bodies with the same digest are the same. */
  readonly digest: string;
  /** What it holds; undefined for an empty one. Throws `CONSUL_UNAVAILABLE` when it is no JSON. */
  read(): unknown;
}

/** A body of these bytes, which answer the query for `what`. */
export function bodyOf(bytes: Buffer, what: string): Body {
  return {
    digest: hash("sha1", bytes, "base64"),
    read() {
      if (bytes.length === 0) return undefined;
      try {
        return JSON.parse(bytes.toString("utf8"));
      } catch (error) {
        throw new DomainError(
          "CONSUL_UNAVAILABLE",
          `the answer to the query for ${what} is not Consul's: ${(error as Error).message.slice(0, MAX_QUOTED)}`,
        );
      }
    },
  };
}

const MAX_QUOTED = 200;
