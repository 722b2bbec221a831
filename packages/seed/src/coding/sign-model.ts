import { AdaptiveBits } from "./adaptive.js";
import type { BitCoder } from "./range-coder.js";

/** A neighbour is cut off or outside, positive, or negative. */
const STATES = 3;
/** West, north, north-east, and those two to the west and to the north. */
const NEIGHBOURS = STATES ** 5;
/** Places of a kernel that learn by themselves; the last stands for all after it. */
const PLACES = 64;

/**
 * Codes the signs of kept weights from what is known of the same kernel: trained kernels are smooth, so a weight mostly has its
 * neighbours' sign. All layers learn together.
 */
export class SignCoder {
  readonly #coder: BitCoder;
  readonly #contexts = new AdaptiveBits(NEIGHBOURS * PLACES, 250);

  constructor(coder: BitCoder) {
    this.#coder = coder;
  }

  /**
   * Codes one tensor's signs: 1 for positive and 2 for negative where the mask is 1, which a decoder fills in; else 0.
   * @param mask row-major, 0 or 1
   * @param size height and width of a kernel
   */
  signs(signs: Uint8Array, mask: Uint8Array, [height, width]: readonly [number, number]): void {
    const size = height * width;
    for (let start = 0; start < mask.length; start += size) {
      for (let y = 0, n = start; y < height; y++) {
        for (let x = 0; x < width; x++, n++) {
          if (mask[n] !== 1) continue;
          const west = x > 0 ? (signs[n - 1] ?? 0) : 0;
          const north = y > 0 ? (signs[n - width] ?? 0) : 0;
          const northEast = y > 0 && x + 1 < width ? (signs[n - width + 1] ?? 0) : 0;
          const farWest = x > 1 ? (signs[n - 2] ?? 0) : 0;
          const farNorth = y > 1 ? (signs[n - 2 * width] ?? 0) : 0;
          const place = n - start < PLACES ? n - start : PLACES - 1;
          const around = (((west * 3 + north) * 3 + northEast) * 3 + farWest) * 3 + farNorth;
          const negative = this.#contexts.code(this.#coder, place * NEIGHBOURS + around, signs[n] === 2 ? 1 : 0);
          signs[n] = 1 + negative;
        }
      }
    }
  }
}
