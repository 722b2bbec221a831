import { UserError } from "@peekaboo/files/errors";
import { numel } from "@peekaboo/files/safetensors";
import { type Dtype, dtypeInfo, dtypeOfArray, dtypeOfName, type TypedArray } from "./dtype.js";
import { type Handle, native } from "./native.js";
import { formatValues, PRINTED_ELEMENTS } from "./print.js";
import { forget, type Scoped, track } from "./scope.js";

/** A tree of numbers, as deep as the tensor has dimensions. */
export type NestedNumbers = number | readonly NestedNumbers[];

/** Frees the tensors that no scope looked after and nobody disposed of: the net below. */
const collector = new FinalizationRegistry<Handle>((handle) => native().dispose(handle));

/** A tensor of the addon with its life, what is known of it, and its elements' way to JavaScript. */
export class TensorBase implements Scoped {
  #handle: Handle;
  #shape: readonly number[] | undefined;
  /** Whether it was left to the garbage collector. */
  #unscoped = false;

  /** Wraps a handle of the addon; the innermost scope frees it. */
  constructor(handle: Handle) {
    this.#handle = handle;
    track(this);
  }

  /** The addon's handle, which refuses every use but a further `dispose` once the tensor was disposed of. */
  get handle(): Handle {
    return this.#handle;
  }

  get isDisposed(): boolean {
    return !native().isLive(this.#handle);
  }

  /** Frees the tensor now; a second call does nothing. Its memory goes with the last view of it. */
  dispose(): void {
    native().dispose(this.#handle);
    forget(this);
    if (this.#unscoped) collector.unregister(this);
  }

  /** Leaves the tensor to the garbage collector: no scope will free it. */
  unscoped(): void {
    if (this.#unscoped) return;
    collector.register(this, this.#handle, this);
    native().unscoped(this.#handle);
    this.#unscoped = true;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /**
   * Becomes `other`, which is used up: for whoever holds this tensor (a module, an optimiser), it was moved or converted
   * in place.
   */
  become(other: TensorBase): this {
    if (other === this) return this;
    this.swap(other);
    other.dispose();
    return this;
  }

  /** Exchanges what two tensors are: whoever holds one of them has the other's elements from then on. */
  swap(other: TensorBase): void {
    [this.#handle, other.#handle] = [other.#handle, this.#handle];
    for (const tensor of [this, other]) tensor.#moved();
  }

  #moved(): void {
    this.#shape = undefined;
    if (!this.#unscoped) return;
    collector.unregister(this);
    collector.register(this, this.#handle, this);
    native().unscoped(this.#handle);
  }

  get shape(): readonly number[] {
    this.#shape ??= Object.freeze(native().shape(this.#handle));
    return this.#shape;
  }

  /** The extent of dimension `dim`; negative counts from the end. @throws {UserError} when there is no such dimension. */
  size(dim: number): number {
    const extent = this.shape.at(dim);
    if (extent !== undefined && Number.isInteger(dim)) return extent;
    throw new UserError({
      operation: "size",
      argument: "dim",
      expected: `a dimension of [${this.shape.join(", ")}]`,
      received: String(dim),
    });
  }

  get rank(): number {
    return this.shape.length;
  }

  /** The number of elements. */
  get numel(): number {
    return numel(this.shape);
  }

  /** @throws {UserError} for a type that JavaScript has no array for, such as float16. */
  get dtype(): Dtype {
    return dtypeOfName(native().dtype(this.#handle));
  }

  /** "cpu", "cuda:0", … */
  get device(): string {
    return native().device(this.#handle);
  }

  /** The value of a tensor of one element. @throws {UserError} for an int64 that no number stands for exactly. */
  item(): number {
    const value = native().item(this.#handle);
    return typeof value === "bigint" ? exactNumber(value, "item") : value;
  }

  /** A copy of the elements, row-major, in the array class of the dtype (int64: BigInt64Array, bool: Uint8Array). */
  toTypedArray(): TypedArray {
    const { bytes, array } = dtypeInfo(this.dtype);
    return this.copyInto(new array(new ArrayBuffer(this.numel * bytes)));
  }

  /**
   * Copies the elements, row-major, into an array of the dtype's class and of `numel` elements, and returns it.
   *
   * @throws {UserError} when the array's class or length is another.
   */
  copyInto<Target extends TypedArray>(target: Target): Target {
    const { dtype, numel } = this;
    const needed = dtypeInfo(dtype).array.name;
    if (dtypeOfArray(target) !== (dtype === "bool" ? "uint8" : dtype) || target.length !== numel) {
      throw new UserError({
        operation: "copy a tensor's elements",
        argument: "target",
        expected: `a ${needed} of ${numel} elements`,
        received: `a ${target[Symbol.toStringTag]} of ${target.length}`,
      });
    }
    native().readInto(this.#handle, new Uint8Array(target.buffer, target.byteOffset, target.byteLength));
    return target;
  }

  /** The elements as float32, row-major, rounded where they are wider. */
  toFloat32Array(): Float32Array {
    const array = this.toTypedArray();
    return array instanceof Float32Array ? array : Float32Array.from(array as ArrayLike<number>, Number);
  }

  /** The elements as nested arrays of numbers. @throws {UserError} for an int64 that no number stands for exactly. */
  toArray(): NestedNumbers {
    const array = this.toTypedArray();
    const flat =
      array instanceof BigInt64Array ? Array.from(array, (value) => exactNumber(value, "toArray")) : Array.from(array);
    const nest = (start: number, step: number, depth: number): NestedNumbers => {
      const extent = this.shape[depth];
      if (extent === undefined) return flat[start] ?? 0;
      const inner = step / extent;
      return Array.from({ length: extent }, (_, i) => nest(start + i * inner, inner, depth + 1));
    };
    return nest(0, flat.length, 0);
  }

  /** `Tensor(float32[2, 2], [[1, 2], [3, 0.3333]])`; of a large one, the type and shape alone. */
  toString(): string {
    if (this.isDisposed) return "Tensor(disposed)";
    const dtype = native().dtype(this.#handle);
    const type = `${dtype}[${this.shape.join(", ")}]`;
    const values = this.numel > PRINTED_ELEMENTS ? null : this.#readableValues();
    return values === null
      ? `Tensor(${type})`
      : `Tensor(${type}, ${formatValues(values, this.shape, dtype === "bool")})`;
  }

  /** The elements, or null where they can't be read: half precision, sparse, on the meta device. */
  #readableValues(): TypedArray | null {
    try {
      return this.toTypedArray();
    } catch {
      return null;
    }
  }

  /** What `console.log` shows. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }
}

function exactNumber(value: bigint, operation: string): number {
  const number = Number(value);
  if (Number.isSafeInteger(number)) return number;
  throw new UserError({
    operation,
    argument: "the tensor",
    expected: "integers within ±(2^53 - 1), which numbers stand for exactly",
    received: `${value}`,
    remedy: "read it with toTypedArray()",
  });
}
