import { type Dtype, dtypeOfArray, type TypedArray } from "./dtype.js";
import * as ops from "./generated/ops.js";
import { type Handle, native } from "./native.js";
import { type NestedNumbers, TensorBase } from "./tensor-base.js";
import { flattened, shapeOf, shareableDtype } from "./tensor-data.js";

export type { NestedNumbers } from "./tensor-base.js";

/** A number, or a tensor that broadcasts. */
export type Operand = Tensor | number;

export interface TensorOptions {
  dtype?: Dtype;
  device?: string;
}

/** An n-dimensional array of libtorch, differentiable when it requires a gradient. */
export class Tensor extends TensorBase {
  /**
   * A tensor of a typed array's elements, row-major.
   *
   * @param options.shape defaults to [length]
   * @param options.dtype defaults to the array's own; others are converted
   * @param options.share keeps the array's memory instead of copying it (on the CPU): writes are seen on both sides, and
   *   the memory can't be transferred to another thread any more
   * @throws {TorchError} when the shape doesn't match the length, UserError for memory that can't be shared.
   */
  static from(
    data: TypedArray,
    options: TensorOptions & { shape?: readonly number[]; share?: boolean; requiresGrad?: boolean } = {},
  ): Tensor {
    const { shape = [data.length], share = false, device = "cpu", requiresGrad = false } = options;
    const own = dtypeOfArray(data);
    const { dtype = own } = options;
    const stored = share ? shareableDtype(data, own, dtype) : own;
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const made = new Tensor(native().fromBytes(bytes, stored, shape, share));
    if (stored !== dtype || device !== "cpu") made.become(ops.toDevice(made, device, dtype));
    return requiresGrad ? made.requireGrad() : made;
  }

  /**
   * A tensor of nested arrays of numbers, float32 unless `dtype` says otherwise.
   *
   * @throws {UserError} when the arrays of one depth differ in length.
   */
  static of(values: NestedNumbers, options: TensorOptions = {}): Tensor {
    return Tensor.from(flattened(values), { shape: shapeOf(values), dtype: "float32", ...options });
  }

  get requiresGrad(): boolean {
    return native().requiresGrad(this.handle);
  }

  get isLeaf(): boolean {
    return native().isLeaf(this.handle);
  }

  /** Asks for a gradient (in place) and returns the tensor itself. */
  requireGrad(value = true): this {
    native().setRequiresGrad(this.handle, value);
    return this;
  }

  /** The gradient that `backward` left, as a fresh tensor over the same memory, or null. */
  get grad(): Tensor | null {
    return tensorOrNull(native().getGrad(this.handle));
  }

  set grad(gradient: Tensor | null) {
    native().setGrad(this.handle, gradient === null ? null : gradient.handle);
  }

  /** Adds d(this)/d(leaf) to the grad of every leaf; `this` is a single element unless `gradient` is given. */
  backward(options: { gradient?: Tensor; retainGraph?: boolean; createGraph?: boolean } = {}): void {
    const { gradient, createGraph = false, retainGraph = createGraph } = options;
    native().backward([this.handle], gradient === undefined ? [] : [gradient.handle], retainGraph, createGraph);
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

  /** A matrix with rows and columns exchanged: a view. */
  t(): Tensor {
    return ops.transpose(this, 0, 1);
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

  /** Every `step`-th slice of `dim` from `start` to before `end`, negative ones counted from the end: a view. */
  slice(dim: number, start: number, end: number, step = 1): Tensor {
    return ops.slice(this, dim, start, end, step);
  }

  /** The slices of `dim` that an int64 or int32 tensor names, copied. */
  indexSelect(dim: number, index: Tensor): Tensor {
    return ops.indexSelect(this, dim, index);
  }

  /** Advanced indexing as PyTorch's `t[indices]`, copied: int64 or bool tensors, null for a whole dimension. */
  index(indices: readonly (Tensor | null)[]): Tensor {
    return ops.index(this, indices);
  }

  /** Along `dim`, the elements that `index` names. */
  gather(dim: number, index: Tensor): Tensor {
    return ops.gather(this, dim, index);
  }

  /** The elements where `mask` (bool) holds, in one dimension. */
  maskedSelect(mask: Tensor): Tensor {
    return ops.maskedSelect(this, mask);
  }

  /** A copy with `value` where `mask` (bool) holds. */
  maskedFill(mask: Tensor, value: number): Tensor {
    return ops.maskedFill(this, mask, value);
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

  /** As {@link maskedFill}, in place. */
  maskedFill_(mask: Tensor, value: number): this {
    ops.maskedFill_(this, mask, value);
    return this;
  }

  /** Limits the elements to [low, high] in place; null leaves a side open. */
  clamp_(low: number | null, high: number | null = null): this {
    ops.clamp_(this, low, high);
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

  square(): Tensor {
    return ops.square(this);
  }

  pow(exponent: number): Tensor {
    return ops.pow(this, exponent);
  }

  exp(): Tensor {
    return ops.exp(this);
  }

  log(): Tensor {
    return ops.log(this);
  }

  round(): Tensor {
    return ops.round(this);
  }

  /** The elements limited to [low, high]; null leaves a side open. */
  clamp(low: number | null, high: number | null = null): Tensor {
    return ops.clamp(this, low, high);
  }

  relu(): Tensor {
    return ops.relu(this);
  }

  sigmoid(): Tensor {
    return ops.sigmoid(this);
  }

  tanh(): Tensor {
    return ops.tanh(this);
  }

  softmax(dim: number): Tensor {
    return ops.softmax(this, dim);
  }

  logSoftmax(dim: number): Tensor {
    return ops.logSoftmax(this, dim);
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

  /** The standard deviation of all elements, or over `dims`; divided by n - 1 unless `unbiased` is false. */
  std(dims: number | readonly number[] | null = null, { unbiased = true, keepDim = false } = {}): Tensor {
    return ops.std(this, dims, unbiased, keepDim);
  }

  /** The variance of all elements, or over `dims`; divided by n - 1 unless `unbiased` is false. */
  variance(dims: number | readonly number[] | null = null, { unbiased = true, keepDim = false } = {}): Tensor {
    return ops.variance(this, dims, unbiased, keepDim);
  }

  /** The p-norm of all elements. */
  norm(p = 2): Tensor {
    return ops.norm(this, p);
  }

  max(): Tensor {
    return ops.max(this);
  }

  min(): Tensor {
    return ops.min(this);
  }

  /** Along `dim`, the index of the largest element. */
  argmax(dim: number): Tensor {
    return ops.argmax(this, dim);
  }

  /** Along `dim`, the index of the smallest element. */
  argmin(dim: number): Tensor {
    return ops.argmin(this, dim);
  }

  eq(other: Operand): Tensor {
    return other instanceof Tensor ? ops.eq(this, other) : ops.eqScalar(this, other);
  }

  ne(other: Operand): Tensor {
    return other instanceof Tensor ? ops.ne(this, other) : ops.neScalar(this, other);
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

  le(other: Operand): Tensor {
    return other instanceof Tensor ? ops.le(this, other) : ops.leScalar(this, other);
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
