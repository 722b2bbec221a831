import { MAX_LOG_ODDS, NAT, squash, stretch } from "./logistic.js";

/** A weight of 1, of which the mixer's weights are fractions. */
const UNIT = 65536;
/** No weight goes beyond, so that all sums are exact. */
const MAX_WEIGHT = 8 * UNIT;

/**
 * Mixes several predictions of one bit in the logistic domain: the weights, a set for each context, learn online by the
 * gradient of the coding cost. Integers alone. Source: Mahoney, "Adaptive Weighing of Context Models for Lossless Data
 * Compression" (2005), as in lpaq.
 */
export class Mixer {
  readonly #weights: Int32Array;
  readonly #inputs: Int32Array;
  readonly #rate: number;
  #set = 0;
  #p = 32768;

  /** @param rate how fast the weights learn: 2 to 20 */
  constructor(inputs: number, sets: number, rate: number, first = Math.floor(UNIT / inputs)) {
    this.#inputs = new Int32Array(inputs);
    this.#weights = new Int32Array(inputs * sets).fill(first);
    this.#rate = rate;
  }

  /** Hands in the i-th prediction, a probability in 65536ths. */
  add(i: number, p: number): void {
    this.#inputs[i] = stretch(p);
  }

  /** The mixed probability in 65536ths, by the weights of one set. */
  mix(set: number): number {
    const n = this.#inputs.length;
    this.#set = set * n;
    let sum = 0;
    for (let i = 0; i < n; i++) sum += (this.#inputs[i] ?? 0) * (this.#weights[this.#set + i] ?? 0);
    this.#p = squash(Math.max(-MAX_LOG_ODDS, Math.min(MAX_LOG_ODDS, Math.floor(sum / UNIT))));
    return this.#p;
  }

  /** Learns from the bit that came. */
  update(bit: number): void {
    const error = ((bit << 16) - this.#p) * this.#rate;
    for (let i = 0; i < this.#inputs.length; i++) {
      const at = this.#set + i;
      const moved = (this.#weights[at] ?? 0) + Math.floor(((this.#inputs[i] ?? 0) * error) / (NAT * 1024));
      this.#weights[at] = Math.max(-MAX_WEIGHT, Math.min(MAX_WEIGHT, moved));
    }
  }
}
