import { PickleFault } from "./pickle/values.js";

/** What may exceed the proportions in small files. */
const FREE_BYTES = 2 ** 20;
/** How many times its file deflated contents may be: weights shrink little, masked ones some more. */
const MAX_INFLATION = 100;

/** How much a file may cost to read, in proportion to its size; each method throws PickleFault beyond that. */
export class Allowance {
  readonly #fileBytes: number;
  #read = 0;
  #inflated = 0;
  #copied = 0;

  constructor(fileBytes: number) {
    this.#fileBytes = fileBytes;
  }

  /** Counts bytes of the file that are gone through: entries that overlap would make it without end. */
  read(bytes: number): void {
    this.#read += bytes;
    this.#check(this.#read, this.#fileBytes, "bytes in its entries together");
  }

  /** Counts bytes that deflated entries become. */
  inflate(bytes: number): void {
    this.#inflated += bytes;
    this.#check(this.#inflated, MAX_INFLATION * this.#fileBytes + FREE_BYTES, "bytes once inflated");
  }

  /** Counts bytes of tensors that are copied or gone through: those that share elements have no bound of their own. */
  copy(bytes: number): void {
    this.#copied += bytes;
    this.#check(
      this.#copied,
      2 * (this.#fileBytes + this.#inflated) + FREE_BYTES,
      "bytes in tensors that share elements",
    );
  }

  #check(bytes: number, limit: number, what: string): void {
    if (bytes > limit) throw new PickleFault(`at most ${limit} ${what}`, `${bytes}`);
  }
}
