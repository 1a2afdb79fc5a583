import type { Logger } from "pino";
import type { Haproxy } from "../haproxy/haproxy.ts";
import type { Clock } from "../lib/clock.ts";
import type { FileSystem } from "../lib/durable-file.ts";
import type { Store } from "../store/store.ts";
import type { ConfigFiles } from "./config-files.ts";
import type { FileWriter } from "./file-writer.ts";
import type { History } from "./history.ts";
import type { CommitPolicy } from "./policy.ts";
import type { WorkingDocument } from "./working-document.ts";

/** What the lanes work on together. */
export interface CommitParts {
  readonly haproxy: Haproxy;
  readonly fs: FileSystem;
  readonly store: Store;
  readonly working: WorkingDocument;
  readonly files: ConfigFiles;
  readonly writer: FileWriter;
  readonly history: History;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly policy: CommitPolicy;
}
