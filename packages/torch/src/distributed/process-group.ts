import { UserError } from "@peekaboo/files/errors";
import { DistributedError } from "../errors.js";
import { native } from "../native.js";
import { Tensor } from "../tensor.js";
import { FailureDiagnosis, ranksInWords } from "./diagnosis.js";
import type { Backend, GroupNumber, ReduceOp } from "./native.js";
import type { Store } from "./store.js";
import { type Diagnosis, Work } from "./work.js";

/** How much longer than its own time a barrier waits for what rank 0 makes of it. */
const VERDICT_MARGIN_MS = 5_000;

export interface GroupParts {
  number: GroupNumber;
  backend: Backend;
  rank: number;
  size: number;
  timeoutMs: number;
  store: Store;
  servesStore: boolean;
}

/**
 * Processes that compute together; {@link initProcessGroup} makes one. Every rank must call the same collectives in the
 * same order, with tensors of the same shape and dtype: Gloo ends the process where one rank sends more than another
 * takes. They work in place on dense, contiguous tensors (Gloo: on the CPU), and throw TorchError for any other.
 *
 * A collective that fails (DistributedError: a rank is gone, or took longer than the time-out) ends the group.
 */
export class ProcessGroup {
  readonly rank: number;
  readonly size: number;
  readonly backend: Backend;
  readonly timeoutMs: number;
  /** The store through which the ranks met, for whatever else they have to tell each other. */
  readonly store: Store;
  /** The native group, for {@link GradientReducer}. */
  readonly number: GroupNumber;
  readonly diagnosis: Diagnosis;
  #barriers = 0;

  constructor({ number, backend, rank, size, timeoutMs, store, servesStore }: GroupParts) {
    this.number = number;
    this.backend = backend;
    this.rank = rank;
    this.size = size;
    this.timeoutMs = timeoutMs;
    this.store = store;
    this.diagnosis = new FailureDiagnosis({ store, rank, size, serves: servesStore });
  }

  /** Replaces each element by its sum, average (floating point only), maximum or minimum over the ranks. */
  allReduce(tensor: Tensor, { op = "sum" }: { op?: ReduceOp } = {}): Work<Tensor> {
    const [collective, settled] = native().allReduce(this.number, tensor.handle, op);
    return new Work(collective, settled, tensor, this.diagnosis);
  }

  /** Replaces the tensor by that of rank `root`. */
  broadcast(tensor: Tensor, { root = 0 }: { root?: number } = {}): Work<Tensor> {
    const [collective, settled] = native().broadcast(this.number, tensor.handle, root);
    return new Work(collective, settled, tensor, this.diagnosis);
  }

  /** New tensors with those of every rank, in the ranks' order. */
  allGather(tensor: Tensor): Work<Tensor[]> {
    const [collective, settled, handles] = native().allGather(this.number, tensor.handle);
    const gathered = handles.map((handle) => new Tensor(handle));
    return new Work(collective, settled, gathered, this.diagnosis);
  }

  /** Is over when every rank has called it. */
  barrier(): Work<void> {
    const [collective, settled] = native().barrier(this.number);
    return new Work(collective, settled, undefined, this.diagnosis);
  }

  /**
   * A barrier through the store, which tells every rank that came which ones did not.
   *
   * @throws {DistributedError} with the ranks that did not come within the time.
   */
  async monitoredBarrier(timeoutMs = this.timeoutMs): Promise<void> {
    const prefix = `barrier/${this.#barriers++}`;
    await this.store.set(`${prefix}/came/${this.rank}`, "");
    const absent = this.rank === 0 ? await this.#judge(prefix, timeoutMs) : await this.#hear(prefix, timeoutMs);
    if (absent.length === 0) return;
    throw new DistributedError(
      "monitoredBarrier",
      `${ranksInWords(absent)} did not come within ${timeoutMs} ms`,
      absent,
    );
  }

  /** Rank 0 finds out who is absent, and stays until those present know. */
  async #judge(prefix: string, timeoutMs: number): Promise<number[]> {
    const others = Array.from({ length: this.size - 1 }, (_, i) => i + 1);
    const came = others.map((rank) => `${prefix}/came/${rank}`);
    const absent = (await this.store.missing(came, { timeoutMs })).flatMap((i) => others[i] ?? []);
    await this.store.set(`${prefix}/absent`, JSON.stringify(absent));
    const present = others.filter((rank) => !absent.includes(rank));
    const heard = present.map((rank) => `${prefix}/heard/${rank}`);
    await this.store.missing(heard, { timeoutMs: VERDICT_MARGIN_MS });
    for (const key of [...came, ...heard, `${prefix}/came/0`]) await this.store.delete(key);
    return absent;
  }

  async #hear(prefix: string, timeoutMs: number): Promise<number[]> {
    const absent = `${prefix}/absent`;
    const late = await this.store.missing([`${prefix}/came/0`], { timeoutMs, stopKey: absent });
    const said = late.length === 0 || (await this.store.get(absent)) !== null;
    if (!said) return [0];
    await this.store.missing([absent], { timeoutMs: timeoutMs + VERDICT_MARGIN_MS });
    const ranks = await this.store.get(absent);
    if (ranks === null) return [0];
    await this.store.set(`${prefix}/heard/${this.rank}`, "");
    return JSON.parse(ranks) as number[];
  }

  /** @throws {UserError} unless there is such a rank. */
  checkRank(rank: number, operation: string): void {
    if (Number.isInteger(rank) && rank >= 0 && rank < this.size) return;
    throw new UserError({
      operation,
      argument: "root",
      expected: `a rank from 0 to ${this.size - 1}`,
      received: String(rank),
    });
  }

  /** Ends the group here, and the store where this process serves it; collectives under way fail. Harmless when repeated. */
  destroy(): void {
    native().groupClose(this.number);
    this.store.close();
  }

  [Symbol.dispose](): void {
    this.destroy();
  }
}
