import { Tensor } from "@peekaboo/torch";
import { pabOps } from "../native/library.js";

/**
 * The uint8 mask of exactly `count` weights of the highest scores; of equal ones, those that `before` (not 0 there) has come
 * first, then the first in memory.
 */
export function keepBest(score: Tensor, count: number, before: Tensor): Tensor {
  const { numel, shape, device } = score;
  if (count >= numel) return Tensor.from(new Uint8Array(numel).fill(1), { shape, share: true, device });
  const threshold = pabOps().kthSmallest([score], numel - count);
  const [mask, above] = pabOps().keepAbove(score, threshold);
  if (above === count) return mask;
  const bits = Uint8Array.from(mask.toTypedArray(), Number);
  for (const position of tiesOf(score, threshold, before, count - above)) bits[position] = 1;
  return Tensor.from(bits, { shape, share: true, device });
}

/** The first `count` positions of scores that equal the threshold, those that `before` has first. */
function tiesOf(score: Tensor, threshold: number, before: Tensor, count: number): number[] {
  const scores = score.toTypedArray();
  const kept = before.toTypedArray();
  const [those, others]: [number[], number[]] = [[], []];
  for (let i = 0; i < scores.length && those.length < count; i++) {
    if (Number(scores[i]) !== threshold) continue;
    if (Number(kept[i]) !== 0) those.push(i);
    else if (others.length < count) others.push(i);
  }
  return [...those, ...others].slice(0, count);
}
