import { type Code, type Local, local, type Statement, type ValueType } from "./code.js";
import { unsigned } from "./leb128.js";

const TYPES: Record<ValueType, number> = { i32: 0x7f, v128: 0x7b };

/** A function that is being written: its parameters are integers, and it returns nothing. */
export class FunctionBuilder {
  readonly #locals: ValueType[] = [];
  readonly #body: number[] = [];

  /** @param parameters - how many integers it takes. */
  constructor(readonly parameters: number) {}

  parameter(index: number): Local<"i32"> {
    if (index >= this.parameters) throw new RangeError(`parameter ${index} of a function with ${this.parameters}`);
    return local("i32", index);
  }

  /** A new variable, zero at first. */
  local<T extends ValueType>(type: T): Local<T> {
    return local(type, this.parameters + this.#locals.push(type) - 1);
  }

  /** Adds to what it does. */
  emit(...statements: readonly Statement[]): void {
    append(this.#body, statements);
  }

  /** Its entry in the code section. */
  bytes(): number[] {
    const locals = this.#locals.flatMap((type) => [1, TYPES[type]]);
    return sized([...unsigned(this.#locals.length), ...locals, ...this.#body, 0x0b]);
  }
}

function append(bytes: number[], code: Code): void {
  for (let i = 0; i < code.length; i++) {
    const part = code[i] ?? 0;
    if (typeof part === "number") bytes.push(part);
    else append(bytes, part);
  }
}

/** The name under which {@link moduleOf} imports its memory, from a module of the same name. */
export const MEMORY = "m";

/**
 * A WebAssembly module in binary form with the given functions, exported under their numbers ("0", "1", …).
 * @param pages - the least size of the memory that it imports, in 64 KiB.
 */
export function moduleOf(functions: readonly FunctionBuilder[], pages: number): Uint8Array<ArrayBuffer> {
  const arities = [...new Set(functions.map(({ parameters }) => parameters))];
  const types = arities.map((arity) => [0x60, ...vector(Array.from({ length: arity }, () => [TYPES.i32])), 0]);
  const name = text(MEMORY);
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, types),
    ...section(2, [[...name, ...name, 0x02, 0x00, ...unsigned(pages)]]),
    ...section(
      3,
      functions.map(({ parameters }) => unsigned(arities.indexOf(parameters))),
    ),
    ...section(
      7,
      functions.map((_, index) => [...text(String(index)), 0x00, ...unsigned(index)]),
    ),
    ...section(
      10,
      functions.map((one) => one.bytes()),
    ),
  ]);
}

function section(id: number, entries: readonly (readonly number[])[]): number[] {
  return [id, ...sized(vector(entries))];
}

function vector(entries: readonly (readonly number[])[]): number[] {
  return [...unsigned(entries.length), ...entries.flat()];
}

function sized(bytes: readonly number[]): number[] {
  return [...unsigned(bytes.length), ...bytes];
}

function text(ascii: string): number[] {
  return sized([...ascii].map((character) => character.charCodeAt(0)));
}
