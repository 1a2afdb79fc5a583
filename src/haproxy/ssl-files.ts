import { DomainError } from "../lib/errors.ts";
import { Serial } from "../lib/serial.ts";
import { type Answer, isRefusal, refusal } from "./answer.ts";
import type { CallOptions } from "./call-options.ts";
import { encodeCommand, encodePieceCommand } from "./command.ts";
import type { RunCommand } from "./one-worker.ts";

/** What HAProxy keeps by file name (management manual, `show ssl cert`, `show ssl ca-file`, `show ssl crl-file`). */
export type SslStore = "cert" | "ca-file" | "crl-file";

/** A part of a certificate, by the name of the file that it comes from: `site.pem`, `site.pem.ocsp`. */
export interface SslPart {
  readonly path: string;
  /** PEM, or base64 for OCSP responses. Lines that are empty are left out. */
  readonly text: string;
}

/** A line of a crt-list, or a file of a directory, as the worker has it. */
export interface CrtListEntry {
  /** Path of the certificate. */
  readonly certificate: string;
  /** For `remove`. */
  readonly line: number;
}

/**
 * The TLS files of the worker that accepts connections, changed as whole transactions: after a failure everything is as before. Rejects with `HAPROXY_REFUSED`, `HAPROXY_UNAVAILABLE`, and `LIMIT_EXCEEDED` for a
 * file that does not fit into one command. Commands are answered with, for the record, without the files' content.
 */
export interface SslFiles {
  /** The names of what is loaded, as the configuration writes them. */
  names(store: SslStore, options?: CallOptions): Promise<readonly string[]>;
  /** SHA-1 fingerprints, upper case without colons, of the certificates under a name, the chain left out; undefined when there is nothing of that name. */
  fingerprints(
    store: "cert" | "ca-file",
    path: string,
    options?: CallOptions,
  ): Promise<readonly string[] | undefined>;
  /** Whether other certificates are sent along with the one of this name. */
  hasChain(path: string, options?: CallOptions): Promise<boolean>;
  /** Replaces what is loaded under a name. */
  replace(store: SslStore, path: string, parts: readonly SslPart[]): Promise<readonly string[]>;
  /** Loads a certificate under a new name; nothing uses it before it is in a crt-list. */
  add(path: string, parts: readonly SslPart[]): Promise<readonly string[]>;
  /** Forgets a certificate that nothing uses. */
  remove(path: string): Promise<readonly string[]>;
  /** The crt-lists and directories that are loaded. */
  lists(options?: CallOptions): Promise<readonly string[]>;
  /** The entries of one, in order. */
  listEntries(path: string, options?: CallOptions): Promise<readonly CrtListEntry[]>;
  /** Adds a line to a crt-list. Its certificate has to be loaded. */
  addToList(path: string, line: string): Promise<readonly string[]>;
  /** Removes an entry. */
  removeFromList(path: string, entry: CrtListEntry): Promise<readonly string[]>;
}

/** Loading a certificate that thousands of lines use takes HAProxy a while. */
const COMMIT_MS = 60_000;

/** Makes the commands over the connections to the worker. */
export function createSslFiles(change: RunCommand, read: RunCommand): SslFiles {
  /** HAProxy has one transaction for each store, whoever begins it. */
  const transactions = new Serial();

  const ask = async (words: readonly string[], options: CallOptions = {}): Promise<string> => {
    const answer = await read(encodeCommand(words), options);
    if (isRefusal(answer)) throw refusal(words.slice(0, 3).join(" "), answer);
    return answer.text;
  };
  const tell = async (words: readonly string[], payload?: string): Promise<Answer> => {
    const line = payload === undefined ? encodeCommand(words) : encodePieceCommand(words, payload);
    const answer = await change(line, { timeoutMs: COMMIT_MS });
    // What runs for a while says how it ends in words only.
    if (isRefusal(answer) || /^(?:Can't|Failed)/m.test(answer.text))
      throw refusal(words.slice(0, 3).join(" "), answer);
    return answer;
  };
  const commit = async (store: SslStore, path: string): Promise<void> => {
    const answer = await tell(["commit", "ssl", store, path]);
    if (!answer.text.includes("Success!")) throw refusal(`commit ssl ${store}`, answer);
  };
  const setAll = async (store: SslStore, path: string, parts: readonly SslPart[]): Promise<string[]> => {
    const commands: string[] = [];
    try {
      for (const part of parts) {
        await tell(["set", "ssl", store, part.path], payloadOf(part.text));
        commands.push(`set ssl ${store} ${part.path} <<`);
      }
      await commit(store, path);
    } catch (error) {
      // One that could not be begun belongs to somebody else.
      if (commands.length > 0) await tell(["abort", "ssl", store, path]).catch(() => {});
      throw error;
    }
    return [...commands, `commit ssl ${store} ${path}`];
  };

  return {
    async names(store, options) {
      const lines = (await ask(["show", "ssl", store], options)).split("\n");
      return lines
        .filter((line) => line !== "" && !line.startsWith("#") && !line.startsWith("*"))
        .map((line) => line.replace(/ - \d+ certificate\(s\)$/, ""));
    },
    async fingerprints(store, path, options) {
      const answer = await read(encodeCommand(["show", "ssl", store, path]), options ?? {});
      if (isRefusal(answer)) return undefined;
      return [...answer.text.matchAll(/^SHA1 FingerPrint: ([0-9A-F]+)$/gm)].map((match) => match[1]!);
    },
    async hasChain(path, options) {
      return /^Chain Subject: /m.test(await ask(["show", "ssl", "cert", path], options));
    },
    replace: (store, path, parts) => transactions.run(() => setAll(store, path, parts)),
    add(path, parts) {
      return transactions.run(async () => {
        await tell(["new", "ssl", "cert", path]);
        try {
          return [`new ssl cert ${path}`, ...(await setAll("cert", path, parts))];
        } catch (error) {
          await tell(["del", "ssl", "cert", path]).catch(() => {});
          throw error;
        }
      });
    },
    remove(path) {
      return transactions.run(async () => {
        await tell(["del", "ssl", "cert", path]);
        return [`del ssl cert ${path}`];
      });
    },
    async lists(options) {
      return (await ask(["show", "ssl", "crt-list"], options)).split("\n").filter((line) => line !== "");
    },
    async listEntries(path, options) {
      const lines = (await ask(["show", "ssl", "crt-list", "-n", path], options)).split("\n").slice(1);
      return lines.flatMap((line) => {
        const [, certificate, number] = /^(.+?):(\d+)(?: |$)/.exec(line) ?? [];
        return certificate === undefined ? [] : [{ certificate, line: Number(number) }];
      });
    },
    addToList(path, line) {
      return transactions.run(async () => {
        const answer = await tell(["add", "ssl", "crt-list", path], `${line}\n`);
        if (!answer.text.includes("Success!")) throw refusal("add ssl crt-list", answer);
        return [`add ssl crt-list ${path} <<`];
      });
    },
    removeFromList(path, { certificate, line }) {
      return transactions.run(async () => {
        const words = ["del", "ssl", "crt-list", path, `${certificate}:${line}`];
        await tell(words);
        return [words.join(" ")];
      });
    },
  };
}

/** The lines that are not empty: an empty one would end the payload. */
function payloadOf(text: string): string {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== "");
  if (lines.length === 0) throw new DomainError("HAPROXY_REFUSED", "an empty file cannot be sent to HAProxy");
  return `${lines.join("\n")}\n`;
}
