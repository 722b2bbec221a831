import { quoted } from "@peekaboo/files/errors";
import type { ByteCursor } from "./cursor.js";
import {
  ForeignFault,
  isSequence,
  isTuple,
  kindOf,
  PickleFault,
  type PickleGlobal,
  type PickleValue,
} from "./values.js";

/** Opcodes of one pickle: some fifty a tensor, two a label. */
const MAX_OPERATIONS = 4_000_000;
/** Lists, tuples, dictionaries and objects of one pickle: what a byte of input can make large memory of. */
const MAX_OBJECTS = 500_000;
/** How far the arguments of calls may exceed the pickle's size together: the same large one can be given again and again. */
const FREE_ARGUMENTS = 2 ** 20;

/** What a pickle may refer to beyond plain data. */
export interface Surroundings {
  /** The classes and functions that may be named, by "module.name". */
  readonly globals: ReadonlyMap<string, PickleGlobal>;
  /** What a persistent id stands for; without it, any is refused. @throws {PickleFault} for one that it doesn't know. */
  readonly persistentLoad?: (id: PickleValue) => PickleValue;
  /** What Python 2's `str` becomes, "text" if left out: latin-1 text, or its bytes. */
  readonly python2Strings?: "text" | "bytes";
}

/**
 * The abstract machine of Python's pickletools: a stack with marks, a memo, and no way to run anything but the
 * globals that it was given.
 */
export class Machine {
  readonly cursor: ByteCursor;
  readonly surroundings: Surroundings;
  readonly memo = new Map<number, PickleValue>();
  #stack: PickleValue[] = [];
  readonly #marked: PickleValue[][] = [];
  #operations = 0;
  #objects = 0;
  #argumentsLeft: number;

  constructor(cursor: ByteCursor, surroundings: Surroundings) {
    this.cursor = cursor;
    this.surroundings = surroundings;
    this.#argumentsLeft = 2 * cursor.left + FREE_ARGUMENTS;
  }

  countOperation(): void {
    if (++this.#operations > MAX_OPERATIONS) throw new PickleFault(`at most ${MAX_OPERATIONS} operations`, "more");
  }

  /** The object itself, counted. */
  #counted<T>(object: T): T {
    if (++this.#objects > MAX_OBJECTS) throw new PickleFault(`at most ${MAX_OBJECTS} objects`, "more");
    return object;
  }

  push(value: PickleValue): void {
    this.#stack.push(value);
  }

  pushObject(value: PickleValue): void {
    this.#stack.push(this.#counted(value));
  }

  pushTuple(items: PickleValue[]): void {
    this.pushObject(Object.freeze(items));
  }

  pop(): PickleValue {
    const value = this.#stack.pop();
    if (value === undefined) throw new PickleFault("a value on the stack", "none");
    return value;
  }

  top(): PickleValue {
    const value = this.#stack.at(-1);
    if (value === undefined) throw new PickleFault("a value on the stack", "none");
    return value;
  }

  mark(): void {
    this.#marked.push(this.#stack);
    this.#stack = this.#counted([]);
  }

  /** What was pushed since the last mark, which is taken away. */
  popMark(): PickleValue[] {
    const items = this.#stack;
    const below = this.#marked.pop();
    if (below === undefined) throw new PickleFault("a mark on the stack", "none");
    this.#stack = below;
    return items;
  }

  /** Drops the top value, or the mark if nothing is above it. */
  drop(): void {
    if (this.#stack.length > 0) this.#stack.pop();
    else this.popMark();
  }

  /** The value that the pickle ends with. */
  result(): PickleValue {
    if (this.#marked.length > 0) throw new PickleFault("no mark left at the end", `${this.#marked.length}`);
    return this.pop();
  }

  remember(index: number): void {
    this.memo.set(index, this.top());
  }

  recall(index: number): void {
    const value = this.memo.get(index);
    if (value === undefined) throw new PickleFault("a memo entry that was made", `number ${index}`);
    this.#stack.push(value);
  }

  /** Pushes a known class or function. */
  pushGlobal(module: string, name: string): void {
    const full = `${module}.${name}`;
    const known = this.surroundings.globals.get(full);
    if (known === undefined) throw new ForeignFault(`the class or function ${quoted(full)}`);
    this.#stack.push(known);
  }

  pushCall(callee: PickleValue, args: PickleValue): void {
    const call = typeof callee === "object" && callee !== null && "call" in callee ? callee.call : null;
    if (call === null) throw new PickleFault("a class or function to call", kindOf(callee));
    if (!isTuple(args)) throw new PickleFault("a tuple of arguments", kindOf(args));
    for (const argument of args) this.#argumentsLeft -= sizeOf(argument);
    if (this.#argumentsLeft < 0) throw new PickleFault("arguments in proportion to the pickle", "more of them");
    this.pushObject(call(args));
  }

  pushPersistent(id: PickleValue): void {
    const { persistentLoad } = this.surroundings;
    if (persistentLoad === undefined) throw new ForeignFault("a reference to data outside (a persistent id)");
    this.pushObject(persistentLoad(id));
  }
}

function sizeOf(value: PickleValue): number {
  if (typeof value === "string" || isSequence(value)) return value.length;
  if (value instanceof Uint8Array) return value.byteLength;
  return value instanceof Map || value instanceof Set ? value.size : 1;
}
