/** Waits until every query has been answered, or has failed, once more. */
export interface Passes {
  /** Begins a pass over these services and the list of them. Resolves with the services that got a good answer. */
  begin(services: Iterable<string>): Promise<ReadonlySet<string>>;
  /** A query was answered: that of a service, or of the list when undefined. A list that fails ends the pass: it says that nobody can be asked. */
  answered(service: string | undefined, isGood: boolean): void;
  /** A service has been found while a pass is under way; it belongs to it. */
  found(service: string): void;
  /** A service is no longer listed, which is a good answer about it. */
  gone(service: string): void;
  /** Ends all passes as they are. */
  end(): void;
}

interface Pass {
  isListAwaited: boolean;
  readonly awaited: Set<string>;
  readonly good: Set<string>;
  readonly resolve: (good: ReadonlySet<string>) => void;
}

/** No pass under way. */
export function createPasses(): Passes {
  const passes = new Set<Pass>();

  function finish(pass: Pass): void {
    passes.delete(pass);
    pass.resolve(pass.good);
  }

  function settle(service: string, isGood: boolean): void {
    for (const pass of passes) {
      if (isGood) pass.good.add(service);
      pass.awaited.delete(service);
      if (!pass.isListAwaited && pass.awaited.size === 0) finish(pass);
    }
  }

  return {
    begin: (services) =>
      new Promise((resolve) => {
        passes.add({ isListAwaited: true, awaited: new Set(services), good: new Set(), resolve });
      }),
    answered(service, isGood) {
      if (service !== undefined) settle(service, isGood);
      else {
        for (const pass of passes) {
          pass.isListAwaited = false;
          if (!isGood || pass.awaited.size === 0) finish(pass);
        }
      }
    },
    found(service) {
      for (const pass of passes) if (!pass.good.has(service)) pass.awaited.add(service);
    },
    gone: (service) => settle(service, true),
    end() {
      for (const pass of passes) finish(pass);
    },
  };
}
