import { IntegerCoder } from "./adaptive.js";
import { NAT, squash } from "./logistic.js";
import type { BitCoder } from "./range-coder.js";

/**
 * What the mask of a weight [out, in, kernel…] is expected from: the odds of keeping w[o, i, k] are
 * e^(slope·log2|w| + bias + rows[o] + columns[i] + kernel[k]).
 */
export interface MaskParameters {
  /** 64ths of a nat for a factor of two. */
  slope: number;
  /** 16ths of a nat. */
  bias: number;
  /** Half nats. Empty stands for zeros. */
  rows: Int32Array;
  columns: Int32Array;
  kernel: Int32Array;
}

/** What a decoder hands in. */
export const NO_PARAMETERS: MaskParameters = {
  slope: 0,
  bias: 0,
  rows: new Int32Array(),
  columns: new Int32Array(),
  kernel: new Int32Array(),
};

/** [out, in, size of the kernel] of a weight. */
export type MaskShape = readonly [outputs: number, inputs: number, kernel: number];

/** From slope · log, 64ths · 1024ths of a nat, to 256ths. */
const PRODUCT_BITS = 8;
/** The bias' unit in 256ths of a nat. */
const BIAS_UNIT = NAT / 16;
/** A row's unit in 256ths of a nat. */
export const ROW_UNIT = NAT / 2;
/** Times the greatest logarithm it is below 2^31. */
export const MAX_SLOPE = 32767;
export const MAX_BIAS = 2 ** 20;
export const MAX_ROW = 8191;

/** Whether the numbers are small enough for exact log-odds, as an encoder's always are. */
export function isStorable({ slope, bias, rows, columns, kernel }: MaskParameters): boolean {
  const small = (values: Int32Array) => values.every((value) => Math.abs(value) <= MAX_ROW);
  return slope <= MAX_SLOPE && Math.abs(bias) <= MAX_BIAS && [rows, columns, kernel].every(small);
}

/** What each number is: numbers of a kind learn together. */
const KIND = { slope: 0, bias: 1, rows: 2, columns: 3, kernel: 4, given: 5 } as const;
const KINDS = 6;

/** Codes the masks of a network's tensors one after the other. */
export class MaskCoder {
  readonly #coder: BitCoder;
  readonly #integers = new IntegerCoder(KINDS);

  constructor(coder: BitCoder) {
    this.#coder = coder;
  }

  /** A number that stands for itself, such as a kept count. */
  unsigned(value: number): number {
    return this.#integers.unsigned(this.#coder, value, KIND.given);
  }

  /** Codes the parameters of one mask; a decoder returns those that it reads. */
  parameters(given: MaskParameters, [outputs, inputs, kernel]: MaskShape): MaskParameters {
    const slope = this.#integers.unsigned(this.#coder, given.slope, KIND.slope);
    const bias = this.#integers.signed(this.#coder, given.bias, KIND.bias);
    const rows = this.#row(given.rows, outputs, KIND.rows);
    const columns = this.#row(given.columns, inputs, KIND.columns);
    return { slope, bias, rows, columns, kernel: this.#row(given.kernel, kernel, KIND.kernel) };
  }

  #row(values: Int32Array, length: number, kind: number): Int32Array {
    const present = this.#integers.unsigned(this.#coder, values.length === 0 ? 0 : 1, KIND.given) === 1;
    const read = new Int32Array(present ? length : 0);
    for (let i = 0; i < read.length; i++) read[i] = this.#integers.signed(this.#coder, values[i] ?? 0, kind);
    return read;
  }

  /**
   * Codes a mask (row-major, 0 or 1), which a decoder fills in.
   * @param logs `magnitudeLogs` of the weights
   */
  mask(mask: Uint8Array, logs: Int32Array, parameters: MaskParameters, [outputs, inputs, size]: MaskShape): void {
    const { slope, bias, rows, columns, kernel } = parameters;
    const coder = this.#coder;
    const places = new Int32Array(inputs * size);
    for (let i = 0; i < inputs; i++)
      for (let k = 0; k < size; k++) places[i * size + k] = ROW_UNIT * ((columns[i] ?? 0) + (kernel[k] ?? 0));
    for (let o = 0, n = 0; o < outputs; o++) {
      const row = ROW_UNIT * (rows[o] ?? 0) + BIAS_UNIT * bias;
      for (let place = 0; place < places.length; place++, n++) {
        const byMagnitude = (slope * (logs[n] ?? 0)) >> PRODUCT_BITS;
        mask[n] = coder.code(mask[n] ?? 0, squash(byMagnitude + row + (places[place] ?? 0)));
      }
    }
  }
}
