import { numel, type SafetensorsDtype } from "@peekaboo/files/safetensors";
import { STORAGE_CLASSES } from "./globals.js";

const utf8 = new TextEncoder();

/** A tensor as a pickle of PyTorch's refers to it: row-major, in the raw storage `key` of its own. */
export interface TensorReference {
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly key: string;
}

/** Writes a pickle of protocol 2, without a memo (the opcodes as in Python's pickletools). */
export class PickleWriter {
  readonly #parts: Uint8Array[] = [Uint8Array.of(0x80, 2)];

  #op(...bytes: number[]): void {
    this.#parts.push(Uint8Array.from(bytes));
  }

  #opcode(character: string): void {
    this.#op(character.charCodeAt(0));
  }

  #global(module: string, name: string): void {
    this.#parts.push(utf8.encode(`c${module}\n${name}\n`));
  }

  text(text: string): void {
    const bytes = utf8.encode(text);
    const head = new Uint8Array(5);
    head[0] = "X".charCodeAt(0);
    new DataView(head.buffer).setUint32(1, bytes.byteLength, true);
    this.#parts.push(head, bytes);
  }

  /** A non-negative integer below 2^53. */
  integer(value: number): void {
    const bytes = new Uint8Array(10);
    const view = new DataView(bytes.buffer);
    if (value < 2 ** 31) {
      bytes[0] = "J".charCodeAt(0);
      view.setInt32(1, value, true);
      this.#parts.push(bytes.subarray(0, 5));
      return;
    }
    bytes.set([0x8a, 8]);
    view.setBigInt64(2, BigInt(value), true);
    this.#parts.push(bytes);
  }

  #integers(values: readonly number[]): void {
    this.#opcode("(");
    for (const value of values) this.integer(value);
    this.#opcode("t");
  }

  emptyOrderedDict(): void {
    this.#global("collections", "OrderedDict");
    this.#opcode(")");
    this.#opcode("R");
  }

  /** Puts into the dictionary on top what `write` writes for each item: its key, then its value. */
  items<T>(items: Iterable<T>, write: (item: T, index: number) => void): void {
    this.#opcode("(");
    let index = 0;
    for (const item of items) write(item, index++);
    this.#opcode("u");
  }

  /** _rebuild_tensor_v2(storage, offset 0, sizes, strides, requires_grad False, no hooks). */
  tensor({ dtype, shape, key }: TensorReference): void {
    this.#global("torch._utils", "_rebuild_tensor_v2");
    this.#opcode("(");
    this.#storage(dtype, key, numel(shape));
    this.integer(0);
    this.#integers(shape);
    this.#integers(contiguousStrides(shape));
    this.#op(0x89);
    this.emptyOrderedDict();
    this.#opcode("t");
    this.#opcode("R");
  }

  #storage(dtype: SafetensorsDtype, key: string, elements: number): void {
    this.#opcode("(");
    this.text("storage");
    this.#global("torch", STORAGE_CLASSES[dtype]);
    this.text(key);
    this.text("cpu");
    this.integer(elements);
    this.#opcode("t");
    this.#opcode("Q");
  }

  /** The finished pickle. */
  end(): Uint8Array {
    this.#opcode(".");
    return Buffer.concat(this.#parts);
  }
}

function contiguousStrides(shape: readonly number[]): number[] {
  const strides: number[] = [];
  let stride = 1;
  for (const size of [...shape].reverse()) {
    strides.unshift(stride);
    // As PyTorch has it: an empty dimension counts as one.
    stride *= Math.max(1, size);
  }
  return strides;
}
