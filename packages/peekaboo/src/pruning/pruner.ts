import type { nn, Tensor } from "@peekaboo/torch";
import type { Batch } from "../data/batch.js";
import type { Network } from "../models/network.js";
import type { PruneScope } from "./selection.js";

/** What a pruner scores: the loop's own float64 copy of the network, in evaluation mode, with the masks so far. */
export interface ScoreContext {
  network: Network;
  /** [C, H, W] of an image. */
  imageShape: readonly number[];
  /** A hundred training images, for the pruners that look at data; at least one batch for them, of any float dtype. */
  batches: readonly Batch[];
  /** The fraction of weights that this round keeps. */
  density: number;
  /** What random scores follow from. */
  seed: number;
}

/** A way to tell which weights matter. */
export interface Pruner {
  readonly name: string;
  readonly needsData: boolean;
  /** How many rounds its authors use; default: 1. */
  readonly rounds?: number;
  /** Settings that its name includes. */
  readonly always?: { readonly scope: PruneScope; readonly shuffle: boolean };
  /** Changes the copy once, before the first round. */
  prepare?(network: Network): void;
  /** A score of each prunable weight, by state name; the largest stay. */
  score(context: ScoreContext): Map<string, Tensor>;
  /**
   * For scores |∂R/∂w ⊙ w|, which are zero for a weight that is: the ∂R/∂w alone. In all rounds but the last, the loop then
   * finds the threshold from these and sets weights to zero in the copy, with neither scores nor masks in memory.
   */
  derivatives?(context: ScoreContext): Map<string, Tensor>;
  /**
   * The tensors that those derivatives are products of: they are computed, scored and forgotten a tile at a time then, in the
   * last round, too. Null for a network in which one isn't such a product.
   */
  factors?(context: ScoreContext): Map<string, WeightFactors> | null;
}

/** What the ∂R/∂w of a layer y = x ∗ w, or y = x·wᵀ, is made of, float64 on the CPU. */
export interface WeightFactors {
  /** x, [N, C, H, W] or [N, C]. */
  input: Tensor;
  /** ∂R/∂y, [N, O, H', W'] or [N, O]. */
  gradient: Tensor;
  /** w, the layer's own tensor, [O, C, K, K] or [O, C]. */
  weight: Tensor;
  geometry: { stride?: nn.Size2d; padding?: nn.Size2d; dilation?: nn.Size2d };
}
