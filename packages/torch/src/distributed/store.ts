import { createHash } from "node:crypto";
import { DistributedError } from "../errors.js";
import { native, typedError } from "../native.js";
import type { StoreNumber } from "./native.js";

/** How much longer than a request's own time its answer may take. */
const MARGIN_MS = 2_000;

export interface StoreOptions {
  /** Numeric addresses: those to listen at (all of this machine's where it has none of them), or to try one after the other. */
  hosts: readonly string[];
  /** 0 takes any that is free, for the one who serves. */
  port: number;
  /** Whether this process is the store; it ends with it. */
  serve: boolean;
  /** How long one request may take. */
  timeoutMs: number;
  /** What the processes of a job have in common: the store lets in nobody who knows another, or none. */
  token?: string;
  /** Whether it is libtorch's TCPStore, as torchrun serves it: it knows of no token, and served it listens everywhere. */
  foreign?: boolean;
}

/** A key-value store that one process serves and all connect to. Nothing here blocks. */
export class Store {
  readonly timeoutMs: number;
  /** The native store, for {@link ProcessGroup}. */
  readonly number: StoreNumber;
  #port = 0;

  private constructor(number: StoreNumber, timeoutMs: number) {
    this.number = number;
    this.timeoutMs = timeoutMs;
  }

  /** Serves the store, or connects to it. @throws {DistributedError} when that does not succeed in time. */
  static async open(options: StoreOptions): Promise<Store> {
    const { hosts, port, serve, timeoutMs, token = "", foreign = false } = options;
    const secret = createHash("sha256").update(token).digest("hex");
    const [number, opened] = native().storeOpen(hosts, port, serve, timeoutMs, secret, foreign);
    const store = new Store(number, timeoutMs);
    try {
      store.#port = await store.#answer(opened, "open the store", timeoutMs);
      return store;
    } catch (error) {
      store.close();
      throw error;
    }
  }

  get port(): number {
    return this.#port;
  }

  set(key: string, value: string): Promise<void> {
    return this.#answer(native().storeSet(this.number, key, value), "store set");
  }

  /** The key's value, null when there is none. */
  get(key: string): Promise<string | null> {
    return this.#answer(native().storeGet(this.number, key), "store get");
  }

  /** Adds a whole number to the key's, which starts at 0, and returns the sum. */
  add(key: string, amount: number): Promise<number> {
    return this.#answer(native().storeAdd(this.number, key, amount), "store add");
  }

  /** Whether the key was there. */
  delete(key: string): Promise<boolean> {
    return this.#answer(native().storeDelete(this.number, key), "store delete");
  }

  /** Waits until every key is there. @throws {DistributedError} with those that are missing when the time is up. */
  async wait(keys: readonly string[], { timeoutMs = this.timeoutMs } = {}): Promise<void> {
    const missing = await this.missing(keys, { timeoutMs });
    if (missing.length === 0) return;
    const names = missing.map((i) => keys[i]).join(", ");
    throw new DistributedError("store wait", `nobody set ${names} within ${timeoutMs} ms`);
  }

  /** As {@link wait}, but gives the places of the missing keys; also ends when somebody sets `stopKey`. */
  missing(keys: readonly string[], options: { timeoutMs: number; stopKey?: string }): Promise<number[]> {
    const { timeoutMs, stopKey = "" } = options;
    return this.#answer(native().storeAwait(this.number, keys, stopKey, timeoutMs), "store wait", timeoutMs);
  }

  /** As {@link missing}, blocking; null when the store does not answer. */
  missingNow(keys: readonly string[], timeoutMs: number): number[] | null {
    return native().storeAwaitNow(this.number, keys, timeoutMs);
  }

  /** Ends the connection, and the store where it is served. */
  close(): void {
    native().storeClose(this.number);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** The answer, or DistributedError when it takes longer than it may. */
  async #answer<Answer>(answer: Promise<Answer>, operation: string, timeoutMs = this.timeoutMs): Promise<Answer> {
    const limit = timeoutMs + MARGIN_MS;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const silent = `the store gave no answer within ${limit} ms`;
      timer = setTimeout(() => reject(new DistributedError(operation, silent)), limit);
    });
    try {
      return await Promise.race([answer, late]);
    } catch (error) {
      throw typedError(error);
    } finally {
      clearTimeout(timer);
    }
  }
}
