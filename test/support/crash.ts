import * as nodeFs from "node:fs/promises";
import type { Haproxy } from "../../src/haproxy/haproxy.ts";
import type { FileSystem } from "../../src/lib/durable-file.ts";
import type { StorageFs } from "../../src/storage/file-system.ts";
import type { Store } from "../../src/store/store.ts";

/** What is told of every operation. */
export interface OperationPoint {
  /** The operation, with what is to happen around it. */
  wrap<A extends unknown[], R>(operation: (...args: A) => Promise<R>): (...args: A) => Promise<R>;
  /** A file was opened. */
  opened(file: nodeFs.FileHandle): void;
}

/** Lets operations through until one is due; from then on nothing gets anywhere any more, as if the process had been killed there. */
export class CrashPoint implements OperationPoint {
  readonly #at: number;
  #armed: boolean;
  #count = 0;
  readonly #reached = Promise.withResolvers<void>();
  readonly #handles = new Set<nodeFs.FileHandle>();

  /** Counted from 1; where it is not `armed` yet, from then on. */
  constructor(at: number, armed = true) {
    this.#at = at;
    this.#armed = armed;
  }

  /** Begins to count. */
  arm(): void {
    this.#armed = true;
  }

  /** Resolves when the process "dies". */
  get reached(): Promise<void> {
    return this.#reached.promise;
  }

  /** A file that a dead process would not keep open. */
  opened(file: nodeFs.FileHandle): void {
    this.#handles.add(file);
  }

  /** Closes what the dead process had open. */
  async release(): Promise<void> {
    for (const file of this.#handles) await file.close().catch(() => {});
  }

  /** The operation before which it dies never begins, nor does any after it. */
  wrap<A extends unknown[], R>(operation: (...args: A) => Promise<R>): (...args: A) => Promise<R> {
    return (...args) => {
      if (this.#armed) this.#count += 1;
      if (this.#count < this.#at) return operation(...args);
      this.#reached.resolve();
      return new Promise<R>(() => {});
    };
  }
}

/** The file system of a process whose operations pass a point; one that dies there, for one. */
export function crashingFs(point: OperationPoint): FileSystem & StorageFs {
  const open = async (...args: Parameters<FileSystem["open"]>) => {
    const file = await nodeFs.open(...args);
    point.opened(file);
    for (const name of ["write", "writeFile", "sync", "chmod", "chown"] as const) {
      const operation = file[name].bind(file) as (...args: unknown[]) => Promise<unknown>;
      Object.assign(file, { [name]: point.wrap(operation) });
    }
    return file;
  };
  return {
    ...nodeFs,
    open: point.wrap(open as FileSystem["open"]) as FileSystem["open"],
    rename: point.wrap(nodeFs.rename),
    link: point.wrap(nodeFs.link),
    unlink: point.wrap(nodeFs.unlink),
    mkdir: point.wrap(nodeFs.mkdir as FileSystem["rm"]) as unknown as FileSystem["mkdir"],
    symlink: point.wrap(nodeFs.symlink),
    rm: point.wrap(nodeFs.rm),
  };
}

/** The store of a process that dies at a point: a batch is durable as a whole, or never began. */
export function crashingStore(store: Store, point: CrashPoint): Store {
  return wrapMethods(store, { write: point.wrap(store.write.bind(store)) });
}

/** The HAProxy of a process that dies at a point; HAProxy itself goes on. */
export function crashingHaproxy(haproxy: Haproxy, point: CrashPoint): Haproxy {
  const { runtime } = haproxy;
  return wrapMethods(haproxy, {
    check: point.wrap(haproxy.check.bind(haproxy)),
    reload: point.wrap(haproxy.reload.bind(haproxy)),
    runtime: wrapMethods(runtime, { applyServers: point.wrap(runtime.applyServers.bind(runtime)) }),
  });
}

function wrapMethods<T extends object>(target: T, replaced: Partial<T>): T {
  return new Proxy(target, {
    get(_, name) {
      if (Object.hasOwn(replaced, name)) return replaced[name as keyof T];
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
