import type { DescOneof } from "@bufbuild/protobuf";
import { isBool } from "./field.ts";
import { GrammarError } from "./grammar-error.ts";
import { isRequired } from "./head.ts";
import type { Order, OrderEntry } from "./order.ts";
import type { Parameter } from "./parameter.ts";
import type { Words } from "./phrase.ts";
import type { Fields } from "./slot.ts";
import type { CompiledStep, Step } from "./step.ts";
import type { WordSyntax } from "./syntax.ts";

/** A oneof among the keywords of a run. */
export interface ChoiceGroup {
  readonly oneof: DescOneof;
  readonly optional: boolean;
  /** The member that has no keyword. */
  readonly fallback: CompiledStep | undefined;
}

interface RankedParameter {
  readonly rank: number;
  readonly parameter: Parameter;
}

const NONE: readonly RankedParameter[] = [];

/** Keywords with their values, in any order. */
export class Run implements Step {
  /** What must be there. */
  readonly required: readonly ((message: Fields) => boolean)[];
  readonly #parameters: readonly Parameter[];
  /** The parameters by the name of the message's property that holds them, with their places in the order of writing. */
  readonly #holders = new Map<string, RankedParameter[]>();
  readonly #table = new Map<string, Parameter>();
  readonly #prefixes: (readonly [string, Parameter])[] = [];
  /** The flag whose keyword may be joined to the word behind it. */
  readonly #joining: Parameter | undefined;
  readonly #oneofs = new Map<Parameter, string>();
  readonly #fallbacks: readonly { readonly oneof: string; readonly step: Step }[];
  readonly #unmodelled: ((message: Fields) => string[]) | undefined;
  readonly #create: () => Fields;

  constructor(
    parameters: readonly Parameter[],
    choices: readonly ChoiceGroup[],
    unmodelled: WordSyntax | undefined,
    create: () => Fields,
  ) {
    this.#create = create;
    // A condition takes the rest of the line, wherever it is declared.
    this.#parameters = [...parameters.filter(({ last }) => !last), ...parameters.filter(({ last }) => last)];
    for (const [rank, parameter] of this.#parameters.entries()) {
      const { field } = parameter.syntax;
      const holder = (field.oneof ?? field).localName;
      this.#holders.set(holder, [...(this.#holders.get(holder) ?? []), { rank, parameter }]);
    }
    for (const parameter of parameters) {
      const { field } = parameter.syntax;
      if (field.oneof !== undefined) this.#oneofs.set(parameter, field.oneof.localName);
      for (const key of parameter.keys) {
        if (this.#table.has(key))
          throw new GrammarError(
            field,
            `keyword "${key}" is already taken by ${this.#table.get(key)!.syntax.field}`,
          );
        this.#table.set(key, parameter);
      }
      for (const prefix of parameter.prefixes) this.#prefixes.push([prefix, parameter]);
    }
    this.#joining = parameters.find(({ syntax }) => syntax.joins);
    if (this.#joining !== undefined && unmodelled !== undefined)
      throw new GrammarError(
        unmodelled.field,
        "beside a flag that may be joined to the word behind it no words are unknown",
      );
    this.#fallbacks = choices.flatMap(({ oneof, fallback }) =>
      fallback === undefined ? [] : [{ oneof: oneof.localName, step: fallback.step }],
    );
    this.required = [
      ...parameters
        .filter(({ syntax }) => isRequired(syntax) && !isBool(syntax.field))
        .map(
          ({ count }) =>
            (message: Fields) =>
              count(message) > 0,
        ),
      ...choices
        .filter(({ optional }) => !optional)
        .map(
          ({ oneof }) =>
            (message: Fields) =>
              caseOf(message, oneof.localName) !== undefined,
        ),
    ];
    if (unmodelled !== undefined) {
      const name = unmodelled.field.localName;
      if (unmodelled.field.fieldKind !== "list" || unmodelled.field.listKind !== "scalar")
        throw new GrammarError(unmodelled.field, "words that no field knows are a repeated string");
      this.#unmodelled = (message) => message[name] as string[];
    }
  }

  read(message: Fields, words: Words, at: number, end: number, order: Order | undefined): number {
    const next =
      this.#unmodelled === undefined
        ? this.#readKnown(message, words, at, end, order)
        : this.#readAll(message, words, at, end, order);
    for (let i = 0; i < this.required.length; i++) if (!this.required[i]!(message)) return -1;
    return next;
  }

  write(message: Fields, out: string[], order: Order | undefined): void {
    for (const { oneof, step } of this.#fallbacks)
      if (caseOf(message, oneof) !== undefined) step.write(message, out, order);
    if (order === undefined) {
      for (const parameter of this.#present(message)) {
        const count = parameter.count(message);
        for (let i = 0; i < count; i++) parameter.write(message, i, out, undefined);
      }
      if (this.#unmodelled !== undefined) out.push(...this.#unmodelled(message));
      return;
    }
    this.#writeInOrder(message, out, order.entries);
  }

  #readKnown(message: Fields, given: Words, from: number, end: number, order: Order | undefined): number {
    const met: Parameter[] = [];
    let words = given;
    let at = from;
    while (at < end) {
      const joining = this.#joinedTo(words[at]!.value);
      if (joining !== undefined && !met.includes(joining)) {
        const [keyword] = joining.syntax.keyword;
        joining.read(message, [{ value: keyword! }], 0, 1, undefined);
        order?.entries.push({ part: joining, spelling: undefined, inner: undefined, words: 0, joined: true });
        met.push(joining);
        words = words.with(at, { value: words[at]!.value.slice(keyword!.length) });
      }
      const parameter = this.#find(words[at]!.value);
      if (parameter === undefined || (!parameter.repeats && met.includes(parameter))) break;
      const oneof = this.#oneofs.get(parameter);
      if (oneof !== undefined && caseOf(message, oneof) !== undefined) break;
      const next = parameter.read(message, words, at, end, order);
      if (next < 0) break;
      met.push(parameter);
      at = next;
    }
    for (const { oneof, step } of this.#fallbacks) {
      if (caseOf(message, oneof) !== undefined) continue;
      const next = step.read(message, words, at, end, order);
      if (next >= 0) at = next;
    }
    return at;
  }

  /** Reads to the end of the line; what no parameter takes is kept as words. A parameter that is there twice is such a case, both times. */
  #readAll(message: Fields, words: Words, at: number, end: number, order: Order | undefined): number {
    const met = order?.entries.length ?? 0;
    if (this.#readOrKeep(message, words, at, end, order, undefined)) return end;
    const fresh = this.#create();
    for (const { syntax } of this.#parameters) {
      const name = (syntax.field.oneof ?? syntax.field).localName;
      if (name in fresh) message[name] = fresh[name];
      else delete message[name];
    }
    this.#unmodelled!(message).length = 0;
    if (order !== undefined) order.entries.length = met;
    this.#readOrKeep(message, words, at, end, order, this.#repeated(words, at, end));
    return end;
  }

  /** False, with the message half filled, when a parameter is met again and `twice` was not given. */
  #readOrKeep(
    message: Fields,
    words: Words,
    from: number,
    end: number,
    order: Order | undefined,
    twice: ReadonlySet<Parameter> | undefined,
  ): boolean {
    const unknown = this.#unmodelled!(message);
    const met: Parameter[] = [];
    let at = from;
    while (at < end) {
      const parameter = this.#find(words[at]!.value);
      const again = parameter !== undefined && !parameter.repeats && met.includes(parameter);
      if (again && twice === undefined) return false;
      let next = -1;
      if (parameter !== undefined && !again && twice?.has(parameter) !== true) {
        next = parameter.read(message, words, at, end, order);
        if (next >= 0) met.push(parameter);
      }
      if (next < 0) {
        next = Math.min(end, at + (parameter?.arity ?? 1));
        order?.entries.push({ part: this, spelling: undefined, inner: undefined, words: next - at });
        while (at < next) unknown.push(words[at++]!.value);
      }
      at = next;
    }
    return true;
  }

  #repeated(words: Words, from: number, end: number): ReadonlySet<Parameter> {
    const twice = new Set<Parameter>();
    const seen = new Set<Parameter>();
    for (let at = from; at < end; ) {
      const parameter = this.#find(words[at]!.value);
      if (parameter !== undefined) {
        if (seen.has(parameter) && !parameter.repeats) twice.add(parameter);
        seen.add(parameter);
      }
      at += parameter?.arity ?? 1;
    }
    return twice;
  }

  /** The flag whose keyword a word begins with that goes on with a member of a choice, which is what the flag is about. */
  #joinedTo(word: string): Parameter | undefined {
    const [keyword] = this.#joining?.syntax.keyword ?? [];
    if (keyword === undefined || word === keyword || !word.startsWith(keyword)) return undefined;
    const behind = this.#find(word.slice(keyword.length));
    return behind !== undefined && this.#oneofs.has(behind) ? this.#joining : undefined;
  }

  #find(word: string): Parameter | undefined {
    const exact = this.#table.get(word);
    if (exact !== undefined) return exact;
    if (word.charCodeAt(word.length - 1) === CLOSING) {
      const found = this.#table.get(word.slice(0, word.indexOf("(") + 1));
      if (found !== undefined) return found;
    }
    for (const [prefix, parameter] of this.#prefixes)
      if (word.length > prefix.length && word.startsWith(prefix)) return parameter;
    return undefined;
  }

  /** The parameters that the message has, in the order of writing: few of many, so the message is asked and not each parameter. */
  #present(message: Fields): Parameter[] {
    const present: RankedParameter[] = [];
    for (const name in message)
      for (const ranked of this.#holders.get(name) ?? NONE)
        if (ranked.parameter.count(message) > 0) present.push(ranked);
    return present.sort((a, b) => a.rank - b.rank).map(({ parameter }) => parameter);
  }

  /** What the old line had comes in its order, what is new behind it, a condition last. */
  #writeInOrder(message: Fields, out: string[], entries: readonly OrderEntry[]): void {
    const written = new Map<Parameter, number>();
    const unknown = this.#unmodelled?.(message) ?? [];
    const met = entries.reduce((sum, { part, words }) => (part === this ? sum + words : sum), 0);
    let unknownAt = 0;
    const write = (parameter: Parameter, entry: OrderEntry | undefined, to: number) => {
      for (let i = written.get(parameter) ?? 0; i < to; i++) parameter.write(message, i, out, entry);
      written.set(parameter, Math.max(to, written.get(parameter) ?? 0));
    };
    const present = this.#present(message);
    let joinedAt = -1;
    entries.forEach((entry, index) => {
      if (entry.part === this) {
        const take = unknown.length === met ? entry.words : unknown.length - unknownAt;
        out.push(...unknown.slice(unknownAt, unknownAt + take));
        unknownAt += take;
        return;
      }
      const parameter = present.find((own) => own === entry.part);
      if (parameter === undefined) return;
      if (parameter.last) return;
      const count = parameter.count(message);
      const isLast = !entries.slice(index + 1).some(({ part }) => part === parameter);
      const next = (written.get(parameter) ?? 0) + 1;
      if (entry.joined === true) joinedAt = out.length;
      write(parameter, entry, Math.min(count, next));
      if (isLast) write(parameter, undefined, count);
    });
    for (const parameter of present)
      if (!parameter.last) write(parameter, undefined, parameter.count(message));
    out.push(...unknown.slice(unknownAt));
    for (const parameter of present)
      if (parameter.last) write(parameter, undefined, parameter.count(message));
    if (joinedAt >= 0) out.splice(joinedAt, 2, out.slice(joinedAt, joinedAt + 2).join(""));
  }
}

/** `)` */
const CLOSING = 41;

function caseOf(message: Fields, oneof: string): string | undefined {
  return (message[oneof] as { readonly case: string | undefined }).case;
}
