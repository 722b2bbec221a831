import { DOUBLE_MS, onUserSignals, statusOf, type UserSignal } from "./signals.js";

/** Thrown where a run can stop after a signal; the command exits with 128 + the signal's number. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";

  constructor(readonly signal: UserSignal) {
    super({ SIGHUP: "the terminal is gone", SIGINT: "interrupted", SIGTERM: "terminated" }[signal]);
  }

  get exitStatus(): number {
    return statusOf(this.signal);
  }
}

/** What may ask a run to stop. */
export interface Guard {
  /** Aborts when a signal comes, for what waits meanwhile. */
  readonly signal: AbortSignal;
  /** Lets pending signals in; then the one that came, if any. */
  pending(): Promise<UserSignal | undefined>;
  /** Lets pending signals in, and throws Interrupted if one came. */
  check(): Promise<void>;
}

/**
 * Turns SIGHUP, SIGINT and SIGTERM into an exception at the next point that is safe to stop at; a second one ends the
 * process, unless it is a SIGHUP, which comes from the system and not from someone who is in a hurry.
 */
export class InterruptGuard implements Guard {
  readonly #controller = new AbortController();
  #received: UserSignal | undefined;
  readonly #signals = onUserSignals((signal) => {
    if (this.#received !== undefined) return;
    this.#received = signal;
    this.#controller.abort(new Interrupted(signal));
    // A second signal means now: what it would do to any process.
    setTimeout(() => this.#signals.keepOnly("SIGHUP"), DOUBLE_MS).unref();
  });

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  async pending(): Promise<UserSignal | undefined> {
    await new Promise((resolve) => setImmediate(resolve));
    return this.#received;
  }

  async check(): Promise<void> {
    const signal = await this.pending();
    if (signal !== undefined) throw new Interrupted(signal);
  }

  /** Gives the signals back to Node. */
  dispose(): void {
    this.#signals[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
