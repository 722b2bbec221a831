import { noGrad, type Tensor } from "@peekaboo/torch";
import { pabOps } from "../native/library.js";
import type { WeightFactors } from "./pruner.js";
import {
  type Cut,
  completeMasks,
  findCuts,
  type Group,
  type PruneScope,
  type Selected,
  type Selection,
} from "./selection.js";

/** About so many scores tell where the first threshold may lie. */
const SAMPLE = 2 ** 17;
/** How many thresholds are guessed before all scores are written down. */
const GUESSES = 8;

/** What is known of a group's thresholds from one round to the next. */
interface Past {
  threshold: number;
  /** How much larger than the one before; null after one. */
  growth: number | null;
}

/** A layer's scores up to a bound, of the weights that aren't zero yet. */
interface Found {
  weight: Tensor;
  scores: Tensor;
  positions: Tensor;
}

/** All scores of a group that are at most its threshold. */
interface Listed {
  found: readonly Found[];
  /** Weights that were zero before. */
  zeros: number;
}

/**
 * Rounds of cutting weights whose score |∂R/∂w ⊙ w| is not above the threshold, by setting them to zero: what
 * {@link selectMasks} would cut. No scores are written down but the smallest, up to a bound that the rounds before suggest; where
 * it was too low, another pass over the layers looks further.
 */
export class StreamedCuts {
  readonly #past = new Map<string, Past>();

  /** Cuts one round; returns the groups that were cut. @throws {UserError} when a score is not a number. */
  cut(factors: ReadonlyMap<string, WeightFactors>, density: number, how: PruneScope): (Cut & Selected)[] {
    const weights = weightsOf(factors);
    const listed = new Map<string, Listed>();
    return noGrad(() => {
      const kth = (group: Group, k: number) => {
        const key = keyOf(group);
        const layers = group.flatMap(([name]) => factors.get(name) ?? []);
        const [threshold, list] = this.#kth(layers, k, this.#past.get(key));
        const before = this.#past.get(key);
        const growth = before === undefined || before.threshold === 0 ? null : threshold / before.threshold;
        this.#past.set(key, { threshold, growth });
        listed.set(key, list);
        return threshold;
      };
      // All thresholds come first: a score that is no number stops the round before it has cut anything.
      const cuts = findCuts(weights, density, how, kth);
      return cuts.map((cut) => ({ ...cut, ...zero(cut, listed.get(keyOf(cut.scores))) }));
    });
  }

  /** The k-th smallest of all scores, and those up to it that aren't of zeros. */
  #kth(layers: readonly WeightFactors[], k: number, past: Past | undefined): [threshold: number, list: Listed] {
    let bound = past?.growth == null ? sampled(layers, k) : past.threshold * past.growth * MARGIN;
    for (let guess = 1; ; guess++) {
      const { found, zeros, nan } = scan(layers, bound);
      const list = { found, zeros };
      if (nan) return [Number.NaN, list];
      if (k <= zeros) return [0, list];
      const scores = found.map((own) => own.scores);
      const count = scores.reduce((sum, { numel }) => sum + numel, 0);
      if (count >= k - zeros) return [pabOps().kthSmallest(scores, k - zeros), list];
      for (const own of found) dispose(own);
      bound = guess < GUESSES ? Math.max(2 * bound, sampled(layers, k)) : Number.POSITIVE_INFINITY;
    }
  }
}

/** How much further than the threshold's growth foretells the scores are listed. */
const MARGIN = 1.01;

const keyOf = (group: Group): string => group[0]?.[0] ?? "";

interface Scanned extends Listed {
  nan: boolean;
}

function scan(layers: readonly WeightFactors[], bound: number, every = 1): Scanned {
  const scanned: Scanned & { found: Found[] } = { found: [], zeros: 0, nan: false };
  for (const { input, gradient, weight, geometry } of layers) {
    const how = { ...geometry, bound, every };
    const [scores, positions, zeros, nan] = pabOps().flowScan(asImage(gradient), asImage(input), asImage(weight), how);
    scanned.found.push({ weight, scores, positions });
    scanned.zeros += zeros;
    scanned.nan ||= nan;
  }
  return scanned;
}

/** A matrix as a tensor of one pixel. */
function asImage(tensor: Tensor): Tensor {
  return tensor.shape.length === 2 ? tensor.view(...tensor.shape, 1, 1) : tensor;
}

/** About the k-th smallest score, rather larger, by some of each layer's outputs. */
function sampled(layers: readonly WeightFactors[], k: number): number {
  const total = layers.reduce((sum, { weight }) => sum + weight.numel, 0);
  const { found, zeros } = scan(layers, Number.POSITIVE_INFINITY, Math.max(1, Math.floor(total / SAMPLE)));
  const scores = found.map((own) => own.scores);
  const there = scores.reduce((sum, { numel }) => sum + numel, 0);
  const place = Math.ceil((1.1 * k * (there + zeros)) / total) - zeros;
  const bound = there === 0 ? 0 : pabOps().kthSmallest(scores, Math.min(Math.max(place, 1), there));
  for (const own of found) dispose(own);
  return bound * MARGIN;
}

/** Sets what is listed to zero up to the threshold. */
function zero({ scores: group, threshold }: Cut, list: Listed | undefined): { kept: number; ties: number } {
  let kept = group.reduce((sum, [, { numel }]) => sum + numel, 0) - (list?.zeros ?? 0);
  let ties = threshold === 0 ? (list?.zeros ?? 0) : 0;
  for (const own of list?.found ?? []) {
    const [above, equal] = pabOps().zeroFound_(own.weight, own.scores, own.positions, threshold);
    kept -= own.scores.numel - above;
    ties += equal;
    dispose(own);
  }
  return { kept, ties };
}

function dispose({ scores, positions }: Found): void {
  scores.dispose();
  positions.dispose();
}

function weightsOf(factors: ReadonlyMap<string, WeightFactors>): Map<string, Tensor> {
  return new Map([...factors].map(([name, { weight }]) => [name, weight]));
}

/** The masks that {@link selectMasks} would have made, of a network whose weights are cut. */
export function masksOf(
  cuts: readonly (Cut & Selected)[],
  factors: ReadonlyMap<string, WeightFactors>,
  how: PruneScope,
): Selection {
  const selection: Selection = { masks: new Map(), groups: [] };
  noGrad(() => {
    for (const { scores, expected, kept, ties } of cuts) {
      selection.groups.push({ expected, kept, ties });
      for (const [name, weight] of scores) selection.masks.set(name, weight.ne(0).to({ dtype: "uint8" }));
    }
    if (how === "erk") completeMasks(weightsOf(factors), selection.masks);
  });
  return selection;
}
