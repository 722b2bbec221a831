import { native } from "./native.js";
import { refusePromise } from "./synchronous.js";

/** What a scope looks after. */
export interface Scoped {
  dispose(): void;
  /** Called when no scope looks after it any more: it lives until it is disposed of or collected. */
  unscoped(): void;
}

const stack: Set<Scoped>[] = [];

/** Gives a new tensor to the innermost scope. */
export function track(tensor: Scoped): void {
  entrust(tensor, stack.at(-1));
}

function entrust(tensor: Scoped, owner: Set<Scoped> | undefined): void {
  if (owner === undefined) tensor.unscoped();
  else owner.add(tensor);
}

/** Takes a tensor out of every scope. */
export function forget(tensor: Scoped): void {
  for (const tensors of stack) tensors.delete(tensor);
}

/** Takes a tensor out of every scope and returns it: it now lives until it is disposed of or collected. */
export function keep<Kept extends Scoped>(tensor: Kept): Kept {
  forget(tensor);
  tensor.unscoped();
  return tensor;
}

/**
 * Runs `body` and frees the tensors made inside it, but for those that it returns (alone, or in arrays, sets, maps and
 * plain objects): these belong to the scope around this one.
 *
 * Only for synchronous bodies.
 * @throws {UserError} when `body` returns a promise.
 */
export function scope<Result>(body: () => Result): Result {
  const tensors = new Set<Scoped>();
  stack.push(tensors);
  try {
    const result = body();
    refusePromise("scope", result);
    release(result, tensors, stack.at(-2), new Set());
    return result;
  } finally {
    stack.pop();
    for (const tensor of tensors) tensor.dispose();
  }
}

/** Moves the tensors inside `value` from `inner` to `outer`. */
function release(value: unknown, inner: Set<Scoped>, outer: Set<Scoped> | undefined, seen: Set<unknown>): void {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value) || seen.has(value)) return;
  if (inner.delete(value as Scoped)) {
    entrust(value as Scoped, outer);
    return;
  }
  seen.add(value);
  for (const item of itemsOf(value)) release(item, inner, outer, seen);
}

function itemsOf(value: object): Iterable<unknown> {
  if (Array.isArray(value) || value instanceof Set) return value;
  if (value instanceof Map) return value.values();
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null ? Object.values(value) : [];
}

/** How many tensors JavaScript holds in this thread: a training step nets zero. */
export function liveTensorCount(): number {
  return native().liveTensorCount();
}
