import type { Random } from "./random.js";

/** One parser of outside data, and how it is fed. */
export interface Target {
  readonly name: string;
  /** The input, made from the random numbers alone. */
  make(random: Random): Buffer;
  /** Parses an input, which also lies in the file `path`. */
  parse(input: Buffer, path: string): unknown;
  /** Bytes that JavaScript may ask for while it parses an input of so many bytes, in all; left out, 2 × + 256 KiB. */
  memory?(bytes: number): number;
  /** Seconds of processor time that an input may take; left out, only a hang counts. */
  readonly seconds?: number;
  /** Whether an Error of no special class is a refusal too: where a caller in the product turns it into a sentence. */
  readonly plainErrors?: boolean;
  /** A share of the run's inputs: 1 is common. */
  readonly share: number;
}

/** Bytes that a parser may ask for whatever the file's size: tables, buffers of fixed length, text. */
export const FREE_BYTES = 2 ** 18;
