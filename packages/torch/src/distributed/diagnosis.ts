import { DistributedError } from "../errors.js";
import type { Store } from "./store.js";
import type { Diagnosis } from "./work.js";

/** How long a rank that failed waits for the others to say that they did, too. */
const GRACE_MS = 2_000;
/** The rank that serves the store waits longer, so that the others can still ask it. */
const SERVER_GRACE_MS = 3_000;
/** …and this long once it has heard them all. */
const SERVER_REST_MS = 200;

export interface DiagnosisOptions {
  store: Store;
  rank: number;
  size: number;
  /** Whether this process serves the store. */
  serves: boolean;
}

/**
 * Who is at fault when a collective fails: every rank that meets a failure says so in the store, and the ranks that
 * stay silent are the ones. A connection that closed names only a neighbour, which may have failed for the same reason.
 */
export class FailureDiagnosis implements Diagnosis {
  readonly #options: DiagnosisOptions;
  #found: Promise<Verdict> | undefined;
  #verdict: Verdict | undefined;

  constructor(options: DiagnosisOptions) {
    this.#options = options;
  }

  async explain(error: unknown): Promise<unknown> {
    if (!(error instanceof DistributedError)) return error;
    if (this.#verdict === undefined) {
      this.#found ??= this.#ask();
      this.#verdict = await this.#found;
    }
    return explained(error, this.#verdict);
  }

  explainNow(error: unknown): unknown {
    if (!(error instanceof DistributedError)) return error;
    this.#verdict ??= this.#askNow();
    return explained(error, this.#verdict);
  }

  get #others(): number[] {
    return Array.from({ length: this.#options.size }, (_, rank) => rank).filter((rank) => rank !== this.#options.rank);
  }

  get #graceMs(): number {
    return this.#options.serves ? SERVER_GRACE_MS : GRACE_MS;
  }

  async #ask(): Promise<Verdict> {
    const { store, rank, serves } = this.#options;
    try {
      await store.set(failureKey(rank), "");
      const missing = await store.missing(this.#others.map(failureKey), { timeoutMs: this.#graceMs });
      if (serves) await new Promise((resolve) => setTimeout(resolve, SERVER_REST_MS));
      return this.#verdictOf(missing);
    } catch {
      return this.#verdictOf(null);
    }
  }

  #askNow(): Verdict {
    const { store, rank, serves } = this.#options;
    try {
      store.set(failureKey(rank), "").catch(() => {});
      const missing = store.missingNow(this.#others.map(failureKey), this.#graceMs);
      if (serves) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, SERVER_REST_MS);
      return this.#verdictOf(missing);
    } catch {
      return this.#verdictOf(null);
    }
  }

  #verdictOf(missing: readonly number[] | null): Verdict {
    const others = this.#others;
    if (missing === null) return { silent: null, graceMs: this.#graceMs };
    return { silent: missing.flatMap((i) => others[i] ?? []), graceMs: this.#graceMs };
  }
}

/** The ranks that said nothing; null when the store could not be asked. */
interface Verdict {
  silent: readonly number[] | null;
  graceMs: number;
}

function failureKey(rank: number): string {
  return `failed/${rank}`;
}

function explained(error: DistributedError, { silent, graceMs }: Verdict): DistributedError {
  const message = error.message.slice(error.operation.length + 2);
  const make = (more: string, ranks: readonly number[]) =>
    new DistributedError(error.operation, `${message}; ${more}`, ranks, { cause: error });
  if (silent === null) return make("the store can't be reached either: its process may be gone", error.ranks);
  if (silent.length === 0) return make("every other rank met a failure, too", error.ranks);
  return make(`nothing was heard of ${ranksInWords(silent)} for ${graceMs} ms`, silent);
}

/** "rank 2", "ranks 2 and 3", "ranks 1, 2, 3 and 4" */
export function ranksInWords(ranks: readonly number[]): string {
  const last = ranks.at(-1);
  if (ranks.length <= 1) return `rank ${last}`;
  return `ranks ${ranks.slice(0, -1).join(", ")} and ${last}`;
}
