import { native } from "./native.js";

/** What a scope looks after. */
export interface Disposable {
  dispose(): void;
}

const stack: Set<Disposable>[] = [];

/** Registers a new tensor with the innermost scope. */
export function track(tensor: Disposable): void {
  stack.at(-1)?.add(tensor);
}

/** Takes a tensor out of every scope: it now lives until it is disposed of or collected. */
export function keep<Kept extends Disposable>(tensor: Kept): Kept {
  for (const tensors of stack) tensors.delete(tensor);
  return tensor;
}

/**
 * Runs `body` and frees the tensors made inside it, but for those that it returns (alone, or in arrays, maps and
 * plain objects): these belong to the scope around this one.
 *
 * Only for synchronous bodies; throws TypeError when `body` returns a promise.
 */
export function scope<Result>(body: () => Result): Result {
  const tensors = new Set<Disposable>();
  stack.push(tensors);
  try {
    const result = body();
    if (result instanceof Promise) throw new TypeError("scope: expected a synchronous body, received a promise");
    release(result, tensors, stack.at(-2));
    return result;
  } finally {
    stack.pop();
    for (const tensor of tensors) tensor.dispose();
  }
}

/** Moves the tensors inside `value` from `inner` to `outer`. */
function release(value: unknown, inner: Set<Disposable>, outer: Set<Disposable> | undefined): void {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return;
  if (inner.delete(value as Disposable)) {
    outer?.add(value as Disposable);
  } else if (Array.isArray(value)) {
    for (const item of value) release(item, inner, outer);
  } else if (value instanceof Map) {
    for (const item of value.values()) release(item, inner, outer);
  } else if (Object.getPrototypeOf(value) === Object.prototype) {
    for (const item of Object.values(value)) release(item, inner, outer);
  }
}

/** How many tensors JavaScript holds in this process: a training step nets zero. */
export function liveTensorCount(): number {
  return native().liveTensorCount();
}
