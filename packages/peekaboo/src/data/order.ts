import { UserError } from "@peekaboo/files/errors";
import { assertInteger, permutation, RandomStream } from "@peekaboo/seed";

const TWO_32 = 0x1_0000_0000;

/**
 * The order, a permutation of 0 … n - 1, in which epoch `epoch` (from 0) visits n images.
 * It is a function of its arguments alone, so a resumed run needs no saved state.
 */
export function epochOrder(seed: number, epoch: number, n: number): Int32Array {
  assertInteger("epoch", epoch);
  return permutation(new RandomStream(seed, `order/${epoch}`), n);
}

/** `count` different integers from 0 … n - 1 in random order, keyed by (seed, name); throws {@link UserError} if n < count. */
export function sampleWithoutReplacement(seed: number, name: string, n: number, count: number): Int32Array {
  if (count > n) {
    throw new UserError({
      operation: "sample without replacement",
      argument: "count",
      expected: `at most the ${n} items there are`,
      received: String(count),
    });
  }
  return permutation(new RandomStream(seed, name), n, count);
}

/** What becomes of each image of a batch of N, as three arrays [N]. */
export interface Augmentation {
  /** The first row of the crop in the padded image, 0 … 2·padding; `padding` leaves the image where it is. */
  dy: Int32Array;
  /** The first column of the crop, likewise. */
  dx: Int32Array;
  /** 1 where the image is mirrored left to right, else 0. */
  flip: Uint8Array;
}

/**
 * The random crop offsets (uniform on 0 … 2·padding) and flips (probability ½) of the images `indices` in epoch `epoch`.
 * An image's fate is a function of (seed, epoch, its index), so neither its batch nor a resumption changes it.
 * It is one Philox block: words 0, 1 and 2 scaled to the row, the column and the flip (a bias of at most 2^-32 each).
 * Source: He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition" (CVPR 2016), §4.2.
 */
export function augmentation(seed: number, epoch: number, indices: ArrayLike<number>, padding = 4): Augmentation {
  assertInteger("epoch", epoch);
  assertInteger("padding", padding, 0, 0xffff);
  const stream = new RandomStream(seed, `augmentation/${epoch}`);
  const block = new Uint32Array(4);
  const offsets = 2 * padding + 1;
  const dy = new Int32Array(indices.length);
  const dx = new Int32Array(indices.length);
  const flip = new Uint8Array(indices.length);
  for (let i = 0; i < indices.length; i++) {
    stream.fillUint32(block, block.length * (indices[i] ?? 0));
    const [row = 0, column = 0, mirror = 0] = block;
    dy[i] = Math.floor((row * offsets) / TWO_32);
    dx[i] = Math.floor((column * offsets) / TWO_32);
    flip[i] = mirror >>> 31;
  }
  return { dy, dx, flip };
}
