import { UserError, type UserErrorParts } from "@peekaboo/files/errors";
import { ranksInWords } from "./diagnosis.js";
import type { Store } from "./store.js";

const OPERATION = "join the process group";

/** How long the process that serves the store stays for the others to read why they can't start. */
const FAREWELL_MS = 1_000;

export interface Seat {
  rank: number;
  worldSize: number;
  timeoutMs: number;
  servesStore: boolean;
  /** Which start of the job this is, where a launcher's store outlives it. */
  attempt: number;
}

/**
 * Waits until every rank has come, once, and with the same world size.
 *
 * @throws {UserError} with what is wrong, in every process that is there.
 */
export async function joinRanks(store: Store, seat: Seat): Promise<void> {
  const meeting = new Meeting(store, seat);
  const complaint = await meeting.takeSeat();
  if (complaint !== null) {
    await meeting.cancel(complaint);
    throw new UserError(complaint);
  }
  await meeting.waitForAll();
}

class Meeting {
  readonly #store: Store;
  readonly #seat: Seat;
  readonly #prefix: string;

  constructor(store: Store, seat: Seat) {
    this.#store = store;
    this.#seat = seat;
    this.#prefix = `start/${seat.attempt}`;
  }

  /** What keeps this process from its seat, or null. */
  async takeSeat(): Promise<UserErrorParts | null> {
    const { rank, worldSize } = this.#seat;
    await this.#store.add(this.#key("arrived"), 1);
    // The first to come sets the size; ranks that are given one of their own compare.
    if (rank === 0) await this.#store.set(this.#key("size"), String(worldSize));
    const agreed = await this.#agreedSize();
    if (agreed !== null && agreed !== worldSize) {
      return complaint(
        "the world size",
        `${agreed}, as rank 0 has it`,
        `${worldSize} at rank ${rank}`,
        "start every process with the same world size",
      );
    }
    if ((await this.#store.add(this.#key(`seat/${rank}`), 1)) > 1) {
      return complaint(
        "rank",
        `one process of rank ${rank}`,
        "a second one",
        "give each process a rank of its own, and each job a port of its own",
      );
    }
    await this.#store.set(this.#key(`came/${rank}`), "");
    return null;
  }

  /** Rank 0's world size; null when it did not come in time, which waiting for all will tell. */
  async #agreedSize(): Promise<number | null> {
    const { timeoutMs } = this.#seat;
    await this.#store.missing([this.#key("size")], { timeoutMs, stopKey: this.#key("cancelled") });
    const size = await this.#store.get(this.#key("size"));
    return size === null ? null : Number(size);
  }

  async waitForAll(): Promise<void> {
    const { worldSize, timeoutMs } = this.#seat;
    const cancelled = this.#key("cancelled");
    const missing = await this.#store.missing(this.#came(), { timeoutMs, stopKey: cancelled });
    if (missing.length === 0) return;
    const reason = await this.#store.get(cancelled);
    const parts =
      reason === null
        ? complaint(
            "the world size",
            `${worldSize} processes within ${timeoutMs} ms`,
            `${worldSize - missing.length} (without ${ranksInWords(missing)})`,
            "start the missing ones, and look at their output",
          )
        : (JSON.parse(reason) as UserErrorParts);
    await this.cancel(parts);
    throw new UserError(parts);
  }

  /** Tells the others, and gives them a moment to read it where the store ends with this process. */
  async cancel(parts: UserErrorParts): Promise<void> {
    const { servesStore } = this.#seat;
    await this.#store.set(this.#key("cancelled"), JSON.stringify(parts));
    await this.#store.add(this.#key("left"), 1);
    if (!servesStore) return;
    const until = performance.now() + FAREWELL_MS;
    // Counted, not by rank: two may have the same.
    while (performance.now() < until) {
      const [arrived, left] = [
        await this.#store.add(this.#key("arrived"), 0),
        await this.#store.add(this.#key("left"), 0),
      ];
      if (left >= arrived) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  #came(): string[] {
    return Array.from({ length: this.#seat.worldSize }, (_, rank) => this.#key(`came/${rank}`));
  }

  #key(name: string): string {
    return `${this.#prefix}/${name}`;
  }
}

function complaint(argument: string, expected: string, received: string, remedy: string): UserErrorParts {
  return { operation: OPERATION, argument, expected, received, remedy };
}
