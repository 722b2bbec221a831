import { UserError } from "@peekaboo/files/errors";
import { native } from "../native.js";
import type { Tensor } from "../tensor.js";
import type { ReducerNumber } from "./native.js";
import type { ProcessGroup } from "./process-group.js";
import { assertSameLayoutNow, BUCKET_BYTES, type NamedTensors } from "./state.js";

/**
 * Averages the gradients of parameters over the ranks, as PyTorch's DistributedDataParallel does: hooks of autograd copy
 * each gradient into a bucket, and a full bucket is on its way while backward still computes the others.
 *
 * ```ts
 * reducer.prepare();
 * loss.backward();
 * reducer.finish(); // every parameter's grad is now the ranks' average
 * ```
 *
 * Buckets are filled in the reverse order of registration. A parameter that a rank did not use counts as zero there; one
 * that no rank used keeps no gradient. To accumulate over several backwards, prepare before the last of them. Only the
 * parameters as they are now are hooked: make it after moving or converting the network.
 */
export class GradientReducer {
  readonly #group: ProcessGroup;
  readonly #names: readonly string[];
  readonly #number: ReducerNumber;

  /**
   * Blocks until every rank has made its own.
   *
   * @param parameters leaves that require gradients, e.g. a module's `namedParameters()`
   * @throws {UserError} when the ranks' names, dtypes or shapes differ, or the bucket size is no whole number from 1.
   */
  constructor(
    group: ProcessGroup,
    parameters: NamedTensors,
    { bucketBytes = BUCKET_BYTES }: { bucketBytes?: number } = {},
  ) {
    if (!Number.isSafeInteger(bucketBytes) || bucketBytes < 1) {
      throw new UserError({
        operation: "average gradients",
        argument: "bucketBytes",
        expected: "a whole number from 1",
        received: String(bucketBytes),
      });
    }
    const named: (readonly [string, Tensor])[] = [...parameters];
    assertSameLayoutNow(group, named, "average gradients");
    this.#group = group;
    this.#names = named.map(([name]) => name);
    const handles = named.map(([, tensor]) => tensor.handle);
    this.#number = native().reducerCreate(group.number, handles, bucketBytes);
  }

  /** From here on, what backward accumulates is sent. @throws {TorchError} when the last buckets are still under way. */
  prepare(): void {
    native().reducerPrepare(this.#number);
  }

  /**
   * Sends what is left, blocks until all is there, and writes the averages into the gradients.
   *
   * @throws {DistributedError} when a rank is lost, TorchError without `prepare` or when backward ran again after a bucket
   *   was sent.
   */
  finish(): void {
    try {
      native().reducerFinish(this.#number);
    } catch (error) {
      throw this.#group.diagnosis.explainNow(error);
    }
  }

  /** {@link prepare}, the backward pass, {@link finish}. */
  average(backward: () => void): void {
    this.prepare();
    backward();
    this.finish();
  }

  /** The parameters' names by bucket, in the order in which they are sent. */
  get buckets(): string[][] {
    return native()
      .reducerBuckets(this.#number)
      .map((places) => places.map((place) => this.#names[place] ?? ""));
  }

  /** How many buckets backward itself had sent when `finish` was last called. */
  get sentDuringBackward(): number {
    return native().reducerStartedEarly(this.#number);
  }

  /** Takes the hooks away. */
  dispose(): void {
    native().reducerDispose(this.#number);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
