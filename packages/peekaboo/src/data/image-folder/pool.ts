import { Worker } from "node:worker_threads";
import { UserError } from "@peekaboo/files/errors";
// sharp comes with it, and must: its libraries stay loaded for the threads only if the main thread has loaded them first.
import { abandon, type Failure, type Job, LANES_PER_THREAD, lane, type Report, type Slot, type Work } from "./job.js";

const ENTRY = new URL("./worker.js", import.meta.url);

/** Options of {@link DecoderPool}. */
export interface DecoderPoolOptions {
  /** Threads; 0 decodes in this one. */
  workers: number;
  /** The threads' program. */
  entry?: URL;
}

interface Pending {
  work: Work;
  /** Lanes that haven't reported yet. */
  missing: number;
  failures: Failure[];
  resolve(failures: Failure[]): void;
  reject(reason: Error): void;
}

/** Threads that decode batches of images into shared memory, in the order in which they are submitted. */
export class DecoderPool {
  readonly #workers: number;
  readonly #entry: URL;
  readonly #pending = new Map<number, Pending>();
  #threads: Worker[] = [];
  #lanes: readonly ((job: Job) => void)[] = [];
  #slots: Slot[] = [];
  #jobs = 0;
  #failure: Error | undefined;

  constructor({ workers, entry = ENTRY }: DecoderPoolOptions) {
    this.#workers = workers;
    this.#entry = entry;
  }

  /**
   * Decodes a batch into its slot, and tells which images failed, in the batch's order.
   *
   * Rejects when a thread fails or ends, or the pool is disposed of. A slot must not be used again unless this is fulfilled.
   */
  submit(work: Work): Promise<Failure[]> {
    const job: Job = { ...work, id: this.#jobs++ };
    const done = new Promise<Failure[]>((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure);
        return;
      }
      this.#start();
      const missing = this.#workers === 0 ? this.#lanes.length : this.#threads.length * LANES_PER_THREAD;
      this.#pending.set(job.id, { work, missing, failures: [], resolve, reject });
      this.#hold(true);
      Atomics.store(new Int32Array(work.slot.next), 0, 0);
      for (const thread of this.#threads) thread.postMessage(job);
      for (const take of this.#lanes) take(job);
    });
    // Batches are decoded ahead: a failure may come long before anyone waits for this one.
    done.catch(() => {});
    return done;
  }

  /** Memory for a batch of `bytes` bytes: a slot given back before, or a new one. @throws {UserError} when there is none. */
  acquire(bytes: number): Slot {
    const large = this.#slots.findIndex(({ pixels }) => pixels.byteLength >= bytes);
    const [slot] = large < 0 ? [] : this.#slots.splice(large, 1);
    if (slot !== undefined) return slot;
    // What was too small for this batch will be for those after it.
    this.#slots = [];
    try {
      return { pixels: new SharedArrayBuffer(bytes), next: new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT) };
    } catch (cause) {
      throw new UserError({
        operation: "decode images",
        argument: "a batch",
        expected: "a size that fits into memory",
        received: `${bytes} bytes of pixels`,
        remedy: "choose smaller batches or images",
        cause,
      });
    }
  }

  /** Gives a slot back. */
  release(slot: Slot): void {
    if (this.#failure === undefined) this.#slots.push(slot);
  }

  /** Ends the threads; whatever is under way is rejected. */
  async dispose(): Promise<void> {
    await this.#fail(new Error("decode images: the images were disposed of while they were read"));
  }

  #start(): void {
    if (this.#threads.length > 0 || this.#lanes.length > 0) return;
    if (this.#workers === 0) {
      const report = (report: Report) => this.#report(report);
      this.#lanes = Array.from({ length: LANES_PER_THREAD }, () => lane(report));
    } else {
      this.#threads = Array.from({ length: this.#workers }, (_, number) => this.#thread(number + 1));
    }
  }

  #thread(number: number): Worker {
    // Without the flags that Node was started with, some of which suit the main program only.
    const thread = new Worker(this.#entry, { name: `images ${number}`, execArgv: [] });
    const died = (what: string, cause?: unknown) => {
      void this.#fail(new Error(`decode images: worker thread ${number} ${what}`, { cause }));
    };
    thread.on("message", (report: Report) => this.#report(report));
    thread.on("messageerror", (error) => died(`sent what can't be read (${error.message})`, error));
    thread.on("error", (error: unknown) => died(`failed: ${error instanceof Error ? error.message : error}`, error));
    thread.on("exit", (status) => died(`ended unexpectedly, with exit status ${status}`));
    return thread;
  }

  #report({ job, failures }: Report): void {
    const pending = this.#pending.get(job);
    if (pending === undefined) return;
    pending.failures.push(...failures);
    pending.missing -= 1;
    if (pending.missing > 0) return;
    this.#pending.delete(job);
    this.#hold(this.#pending.size > 0);
    pending.resolve(pending.failures.sort((a, b) => a.position - b.position));
  }

  /** The first failure is the pool's end. */
  async #fail(error: Error): Promise<void> {
    this.#failure ??= error;
    for (const { work, reject } of this.#pending.values()) {
      abandon(work);
      reject(this.#failure);
    }
    this.#pending.clear();
    this.#slots = [];
    await Promise.all(this.#threads.map((thread) => thread.terminate()));
  }

  /** Whether the threads keep the process alive: only while they have work. */
  #hold(busy: boolean): void {
    for (const thread of this.#threads) {
      if (busy) thread.ref();
      else thread.unref();
    }
  }
}
