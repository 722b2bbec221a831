import { type Dtype, dtypeInfo, dtypeOfArray, dtypeOfCode, type TypedArray } from "./dtype.js";
import { TorchError } from "./errors.js";
import * as ops from "./generated/ops.js";
import { guarded, type Handle, native } from "./native.js";
import { keep, track } from "./scope.js";

/** A number, or a tensor that broadcasts. */
export type Operand = Tensor | number;

/** A tree of numbers, as deep as the tensor has dimensions. */
export type NestedNumbers = number | readonly NestedNumbers[];

export interface TensorOptions {
  dtype?: Dtype;
  device?: string;
}

/** An n-dimensional array of libtorch, differentiable when it requires a gradient. */
export class Tensor {
  #handle: Handle | null;
  #shape: readonly number[] | undefined;

  /** Wraps a handle of the addon; the innermost scope frees it. */
  constructor(handle: Handle) {
    this.#handle = handle;
    track(this);
  }

  /**
   * A tensor of a typed array's elements, row-major.
   *
   * @param options.shape defaults to [length]
   * @param options.share keeps the array's memory instead of copying it: writes are seen on both sides
   * Throws TorchError when the shape doesn't match the length.
   */
  static from(
    data: TypedArray,
    options: TensorOptions & { shape?: readonly number[]; share?: boolean; requiresGrad?: boolean } = {},
  ): Tensor {
    const { shape = [data.length], share = false, device = "cpu", requiresGrad = false } = options;
    const own = options.dtype === "bool" && data instanceof Uint8Array ? "bool" : dtypeOfArray(data);
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const code = dtypeInfo(own).code;
    const made = new Tensor(guarded((addon) => addon.fromBytes(bytes, code, shape, share)));
    const result = made.to({ dtype: options.dtype ?? own, device });
    if (result !== made) made.dispose();
    return requiresGrad ? result.requireGrad() : result;
  }

  /** A tensor of nested arrays of numbers, float32 unless `dtype` says otherwise. */
  static of(values: NestedNumbers, options: TensorOptions = {}): Tensor {
    const shape: number[] = [];
    for (let level: NestedNumbers | undefined = values; Array.isArray(level); level = level[0])
      shape.push(level.length);
    const numbers: number[] = [];
    const collect = (value: NestedNumbers): void => {
      if (typeof value === "number") numbers.push(value);
      else value.forEach(collect);
    };
    collect(values);
    const flat = Float64Array.from(numbers);
    return Tensor.from(flat, { shape, dtype: options.dtype ?? "float32", device: options.device ?? "cpu" });
  }

  /** The addon's handle; throws TorchError once the tensor was disposed of. */
  get handle(): Handle {
    if (this.#handle === null) {
      throw new TorchError(
        "argument",
        "Tensor",
        undefined,
        "expected a live tensor, received one that was disposed of",
      );
    }
    return this.#handle;
  }

  get isDisposed(): boolean {
    return this.#handle === null;
  }

  /** Frees the tensor now; a second call does nothing. */
  dispose(): void {
    if (this.#handle === null) return;
    native().dispose(this.#handle);
    this.#handle = null;
    keep(this);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  get shape(): readonly number[] {
    this.#shape ??= native().shape(this.handle);
    return this.#shape;
  }

  /** The extent of dimension `dim`; negative counts from the end. */
  size(dim: number): number {
    const extent = this.shape.at(dim);
    if (extent === undefined) throw new RangeError(`size: expected a dimension of [${this.shape}], received ${dim}`);
    return extent;
  }

  get rank(): number {
    return this.shape.length;
  }

  /** The number of elements. */
  get numel(): number {
    return this.shape.reduce((product, extent) => product * extent, 1);
  }

  get dtype(): Dtype {
    return dtypeOfCode(native().dtype(this.handle));
  }

  get device(): string {
    return native().device(this.handle);
  }

  get requiresGrad(): boolean {
    return native().requiresGrad(this.handle);
  }

  get isLeaf(): boolean {
    return native().isLeaf(this.handle);
  }

  /** Asks for a gradient (in place) and returns the tensor itself. */
  requireGrad(value = true): this {
    const { handle } = this;
    guarded((addon) => addon.setRequiresGrad(handle, value));
    return this;
  }

  /** The gradient that `backward` left, as a fresh tensor over the same memory, or null. */
  get grad(): Tensor | null {
    const gradient = native().getGrad(this.handle);
    return gradient === null ? null : new Tensor(gradient);
  }

  set grad(gradient: Tensor | null) {
    const { handle } = this;
    guarded((addon) => addon.setGrad(handle, gradient === null ? null : gradient.handle));
  }

  /** Adds d(this)/d(leaf) to the grad of every leaf; `this` is a single element unless `gradient` is given. */
  backward(options: { gradient?: Tensor; retainGraph?: boolean; createGraph?: boolean } = {}): void {
    const { gradient, createGraph = false, retainGraph = createGraph } = options;
    const { handle } = this;
    const seeds = gradient === undefined ? [] : [gradient.handle];
    guarded((addon) => addon.backward([handle], seeds, retainGraph, createGraph));
  }

  /** The value of a tensor of one element. */
  item(): number {
    const { handle } = this;
    return guarded((addon) => addon.item(handle));
  }

  /** A copy of the elements, row-major, in the array class of the dtype (int64: BigInt64Array, bool: Uint8Array). */
  toTypedArray(): TypedArray {
    const { handle } = this;
    const buffer = guarded((addon) => addon.toBytes(handle));
    return new (dtypeInfo(this.dtype).array)(buffer);
  }

  /** The elements as float32, row-major. */
  toFloat32Array(): Float32Array {
    const array = this.toTypedArray();
    return array instanceof Float32Array ? array : Float32Array.from(array as ArrayLike<number>, Number);
  }

  /** The elements as nested arrays of numbers. */
  toArray(): NestedNumbers {
    const flat = Array.from(this.toTypedArray() as ArrayLike<number | bigint>, Number);
    const nest = (values: number[], shape: readonly number[]): NestedNumbers => {
      const [extent, ...rest] = shape;
      if (extent === undefined) return values[0] ?? 0;
      const step = rest.reduce((product, size) => product * size, 1);
      return Array.from({ length: extent }, (_, i) => nest(values.slice(i * step, (i + 1) * step), rest));
    };
    return nest(flat, this.shape);
  }

  /** The tensor with another dtype or device; itself when nothing changes. */
  to({ dtype = this.dtype, device = this.device }: TensorOptions): Tensor {
    if (dtype === this.dtype && device === this.device) return this;
    return ops.toDevice(this, device, dtype);
  }

  detach(): Tensor {
    return ops.detach(this);
  }

  clone(): Tensor {
    return ops.clone(this);
  }

  contiguous(): Tensor {
    return ops.contiguous(this);
  }

  /** The same elements seen with another shape; one extent may be -1. */
  view(...shape: number[]): Tensor {
    return ops.view(this, shape);
  }

  /** As {@link view}, copying when the memory layout demands it. */
  reshape(...shape: number[]): Tensor {
    return ops.reshape(this, shape);
  }

  /** Joins the dimensions from `start` to `end` into one. */
  flatten(start = 0, end = -1): Tensor {
    return ops.flatten(this, start, end);
  }

  permute(...dims: number[]): Tensor {
    return ops.permute(this, dims);
  }

  transpose(first: number, second: number): Tensor {
    return ops.transpose(this, first, second);
  }

  unsqueeze(dim: number): Tensor {
    return ops.unsqueeze(this, dim);
  }

  squeeze(dim: number): Tensor {
    return ops.squeeze(this, dim);
  }

  expand(...shape: number[]): Tensor {
    return ops.expand(this, shape);
  }

  /** The slice at `index` of `dim`, without that dimension: a view. */
  select(dim: number, index: number): Tensor {
    return ops.select(this, dim, index);
  }

  /** `length` slices of `dim` from `start`: a view. */
  narrow(dim: number, start: number, length: number): Tensor {
    return ops.narrow(this, dim, start, length);
  }

  /** The slices of `dim` that an int64 or int32 tensor names, copied. */
  indexSelect(dim: number, index: Tensor): Tensor {
    return ops.indexSelect(this, dim, index);
  }

  add(other: Operand): Tensor {
    return other instanceof Tensor ? ops.add(this, other) : ops.addScalar(this, other);
  }

  sub(other: Operand): Tensor {
    return other instanceof Tensor ? ops.sub(this, other) : ops.subScalar(this, other);
  }

  mul(other: Operand): Tensor {
    return other instanceof Tensor ? ops.mul(this, other) : ops.mulScalar(this, other);
  }

  div(other: Operand): Tensor {
    return other instanceof Tensor ? ops.div(this, other) : ops.divScalar(this, other);
  }

  /** this += alpha · other, in place. */
  add_(other: Operand, alpha = 1): this {
    if (other instanceof Tensor) ops.add_(this, other, { alpha });
    else ops.addScalar_(this, other, alpha);
    return this;
  }

  sub_(other: Operand): this {
    if (other instanceof Tensor) ops.sub_(this, other);
    else ops.subScalar_(this, other);
    return this;
  }

  mul_(other: Operand): this {
    if (other instanceof Tensor) ops.mul_(this, other);
    else ops.mulScalar_(this, other);
    return this;
  }

  div_(other: Operand): this {
    if (other instanceof Tensor) ops.div_(this, other);
    else ops.divScalar_(this, other);
    return this;
  }

  /** Takes over the elements of `source`, which broadcasts. */
  copy_(source: Tensor): this {
    ops.copy_(this, source);
    return this;
  }

  fill_(value: number): this {
    ops.fill_(this, value);
    return this;
  }

  zero_(): this {
    ops.zero_(this);
    return this;
  }

  neg(): Tensor {
    return ops.neg(this);
  }

  abs(): Tensor {
    return ops.abs(this);
  }

  sign(): Tensor {
    return ops.sign(this);
  }

  sqrt(): Tensor {
    return ops.sqrt(this);
  }

  relu(): Tensor {
    return ops.relu(this);
  }

  matmul(other: Tensor): Tensor {
    return ops.matmul(this, other);
  }

  /** The sum of all elements, or over `dims`. */
  sum(dims?: number | readonly number[], keepDim = false): Tensor {
    if (dims === undefined) return ops.sum(this);
    return ops.sumDims(this, typeof dims === "number" ? [dims] : dims, keepDim);
  }

  /** The mean of all elements, or over `dims`. */
  mean(dims?: number | readonly number[], keepDim = false): Tensor {
    if (dims === undefined) return ops.mean(this);
    return ops.meanDims(this, typeof dims === "number" ? [dims] : dims, keepDim);
  }

  max(): Tensor {
    return ops.max(this);
  }

  min(): Tensor {
    return ops.min(this);
  }

  argmax(dim: number): Tensor {
    return ops.argmax(this, dim);
  }

  eq(other: Operand): Tensor {
    return other instanceof Tensor ? ops.eq(this, other) : ops.eqScalar(this, other);
  }

  gt(other: Operand): Tensor {
    return other instanceof Tensor ? ops.gt(this, other) : ops.gtScalar(this, other);
  }

  ge(other: Operand): Tensor {
    return other instanceof Tensor ? ops.ge(this, other) : ops.geScalar(this, other);
  }

  lt(other: Operand): Tensor {
    return other instanceof Tensor ? ops.lt(this, other) : ops.ltScalar(this, other);
  }

  toString(): string {
    return this.#handle === null ? "Tensor(disposed)" : `Tensor(${this.dtype}[${this.shape.join(", ")}])`;
  }
}

/** A tensor whose every element is zero. */
export function zeros(shape: readonly number[], options: TensorOptions = {}): Tensor {
  return ops.zeros(shape, options);
}

/** A tensor whose every element is one. */
export function ones(shape: readonly number[], options: TensorOptions = {}): Tensor {
  return ops.ones(shape, options);
}

/** A tensor whose every element is `value`, float32 unless `dtype` says otherwise. */
export function full(shape: readonly number[], value: number, options: TensorOptions = {}): Tensor {
  return ops.full(shape, value, { dtype: "float32", ...options });
}

/** The handle of an optional tensor argument. */
export function handleOf(tensor: Tensor | null | undefined): Handle | null | undefined {
  return tensor === null || tensor === undefined ? tensor : tensor.handle;
}

/** Wraps a handle that an operator may leave out. */
export function tensorOrNull(handle: Handle | null): Tensor | null {
  return handle === null ? null : new Tensor(handle);
}
