import { native, typedError } from "../native.js";
import type { CollectiveNumber } from "./native.js";

/** Finds out more of a failure: which ranks are at fault. */
export interface Diagnosis {
  explain(error: unknown): Promise<unknown>;
  /** As {@link explain}, blocking. */
  explainNow(error: unknown): unknown;
}

/**
 * A collective under way. `await` it, or block with {@link wait}; its tensors are not to be touched before.
 * Failures are DistributedErrors.
 */
export class Work<Result> implements PromiseLike<Result> {
  readonly #number: CollectiveNumber;
  readonly #diagnosis: Diagnosis;
  readonly #result: Result;
  readonly #promise: Promise<Result>;
  #failure: { error: unknown } | undefined;
  #done = false;

  constructor(number: CollectiveNumber, settled: Promise<void>, result: Result, diagnosis: Diagnosis) {
    this.#number = number;
    this.#diagnosis = diagnosis;
    this.#result = result;
    this.#promise = this.#follow(settled);
    // Whoever only waits does not handle the promise.
    this.#promise.catch(() => {});
  }

  async #follow(settled: Promise<void>): Promise<Result> {
    try {
      await settled;
    } catch (error) {
      this.#failure ??= { error: await this.#diagnosis.explain(typedError(error)) };
      throw this.#failure.error;
    }
    this.#done = true;
    return this.#result;
  }

  /** Blocks this thread until the collective is over, and returns its result. @throws {DistributedError} when it fails. */
  wait(): Result {
    if (this.#failure !== undefined) throw this.#failure.error;
    if (this.#done) return this.#result;
    try {
      native().collectiveWait(this.#number);
    } catch (error) {
      this.#failure = { error: this.#diagnosis.explainNow(error) };
      throw this.#failure.error;
    }
    this.#done = true;
    return this.#result;
  }

  // biome-ignore lint/suspicious/noThenProperty: it is what `await` calls
  then<Fulfilled = Result, Rejected = never>(
    onFulfilled?: ((result: Result) => Fulfilled | PromiseLike<Fulfilled>) | null,
    onRejected?: ((error: unknown) => Rejected | PromiseLike<Rejected>) | null,
  ): Promise<Fulfilled | Rejected> {
    return this.#promise.then(onFulfilled, onRejected);
  }
}
