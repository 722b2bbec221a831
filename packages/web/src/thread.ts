import type { CallName, Calls, Reply, Request } from "./protocol.js";

/** What a call ends with whose network has been put away meanwhile: nobody waits for it any more. */
export class PutAway extends Error {}

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
  onProgress(fraction: number): void;
}

/** A network in a thread of its own. */
export class Thread {
  readonly #worker = new Worker(new URL("./work/worker.ts", import.meta.url), { type: "module" });
  readonly #waiting = new Map<number, Waiting>();
  #next = 0;

  constructor() {
    this.#worker.addEventListener("message", ({ data }: MessageEvent<Reply>) => this.#hear(data));
    this.#worker.addEventListener("error", (event) => {
      event.preventDefault();
      this.#fail(new Error(event.message || "the network's thread could not be started"));
    });
  }

  /**
   * Asks the network.
   * @throws {Error} with the sentence of whatever the network refused, or {@link PutAway}
   */
  async call<K extends CallName>(
    kind: K,
    args: Calls[K]["args"],
    onProgress: (fraction: number) => void = () => {},
  ): Promise<Calls[K]["result"]> {
    const id = this.#next++;
    const request: Request<K> = { id, kind, args };
    const value = await new Promise<unknown>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, onProgress });
      this.#worker.postMessage(request);
    });
    return value as Calls[K]["result"];
  }

  /** Ends the thread, and whatever is still asked of it. */
  close(): void {
    this.#worker.terminate();
    this.#fail(new PutAway("the network was put away"));
  }

  #hear(reply: Reply): void {
    const waiting = this.#waiting.get(reply.id);
    if (waiting === undefined) return;
    if (reply.kind === "progress") {
      waiting.onProgress(reply.fraction);
      return;
    }
    this.#waiting.delete(reply.id);
    if (reply.kind === "result") waiting.resolve(reply.value);
    else waiting.reject(new Error(reply.message));
  }

  #fail(error: Error): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
