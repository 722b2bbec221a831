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

/** Turns SIGINT and SIGTERM into an exception at the next point that is safe to stop at. */
export class InterruptGuard {
  readonly #controller = new AbortController();
  #received: "SIGINT" | "SIGTERM" | undefined;
  readonly #handlers = (["SIGINT", "SIGTERM"] as const).map((signal) => {
    const handler = () => {
      // A second signal means now.
      if (this.#received !== undefined) this.dispose();
      else this.#received = signal;
      this.#controller.abort(new Interrupted(signal));
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
