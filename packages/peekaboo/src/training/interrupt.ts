/** Thrown where a run can stop after a signal; the command exits with 128 + the signal's number. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";

  constructor(readonly signal: "SIGINT" | "SIGTERM") {
    super(signal === "SIGINT" ? "interrupted" : "terminated");
  }

  get exitStatus(): number {
    return this.signal === "SIGINT" ? 130 : 143;
  }
}

/** A launcher and a terminal may both pass on one signal: within this time it is taken for the same. */
const DOUBLE_MS = 250;

/** Turns SIGINT and SIGTERM into an exception at the next point that is safe to stop at; a second one ends the process. */
export class InterruptGuard {
  readonly #controller = new AbortController();
  #received: "SIGINT" | "SIGTERM" | undefined;
  readonly #handlers = (["SIGINT", "SIGTERM"] as const).map((signal) => {
    const handler = () => {
      if (this.#received !== undefined) return;
      this.#received = signal;
      this.#controller.abort(new Interrupted(signal));
      // A second signal means now: what it would do to any process.
      setTimeout(() => this.dispose(), DOUBLE_MS).unref();
    };
    process.on(signal, handler);
    return { signal, handler };
  });

  /** Aborts when a signal comes, for what waits meanwhile. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Lets pending signals in; then the one that came, if any. */
  async pending(): Promise<"SIGINT" | "SIGTERM" | undefined> {
    await new Promise((resolve) => setImmediate(resolve));
    return this.#received;
  }

  /** Lets pending signals in, and throws Interrupted if one came. */
  async check(): Promise<void> {
    const signal = await this.pending();
    if (signal !== undefined) throw new Interrupted(signal);
  }

  /** Gives the signals back to Node. */
  dispose(): void {
    for (const { signal, handler } of this.#handlers) process.off(signal, handler);
  }
}
