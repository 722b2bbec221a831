import { noGrad, type Tensor, UserError } from "@peekaboo/torch";
import { pabOps } from "../native/library.js";

export type PruneScope = "global" | "local";

/** How many of a group's weights were to stay, and how many did: ties with the threshold go too. */
export interface Selected {
  expected: number;
  kept: number;
  /** Weights whose score equals the threshold. */
  ties: number;
}

export interface Selection {
  /** uint8 masks by name, 1 where a weight stays. */
  masks: Map<string, Tensor>;
  groups: Selected[];
}

/** How many of `total` weights stay at a density: all but floor((1-density)·total). */
export function keptOf(density: number, total: number): number {
  return total - Math.floor((1 - density) * total);
}

/**
 * The masks that keep the weights whose score is above the k-th smallest, k = floor((1-density)·N), over all tensors
 * together or over each (ALGORITHM §2); null for a group where k < 1, whose masks stay.
 *
 * Throws UserError when a score is not a number.
 */
export function selectMasks(scores: ReadonlyMap<string, Tensor>, density: number, how: PruneScope): Selection {
  const selection: Selection = { masks: new Map(), groups: [] };
  noGrad(() => {
    for (const { scores: own, threshold, expected } of findCuts(scores, density, how)) {
      const group = { expected, kept: 0, ties: 0 };
      for (const [name, score] of own) {
        const [mask, kept, ties] = pabOps().keepAbove(score, threshold);
        group.kept += kept;
        group.ties += ties;
        selection.masks.set(name, mask);
      }
      selection.groups.push(group);
    }
  });
  return selection;
}

/** Tensors that are cut at one threshold, by state name. */
export type Group = readonly (readonly [name: string, scores: Tensor])[];

/** Where a group is cut: what is at most the threshold goes. */
export interface Cut {
  scores: Group;
  threshold: number;
  /** How many weights are to stay. */
  expected: number;
}

/**
 * The thresholds of {@link selectMasks}. Throws UserError when a score is not a number.
 *
 * @param kth the k-th smallest of a group's scores, where its tensors aren't the scores themselves
 */
export function findCuts(
  scores: ReadonlyMap<string, Tensor>,
  density: number,
  how: PruneScope,
  kth: (group: Group, k: number) => number = kthSmallest,
): Cut[] {
  const all = [...scores];
  const groups = how === "global" ? [all] : all.map((one) => [one]);
  return groups.flatMap((group): Cut[] => {
    const total = group.reduce((sum, [, { numel }]) => sum + numel, 0);
    const expected = keptOf(density, total);
    const cut = total - expected;
    if (cut < 1) return [];
    const threshold = kth(group, cut);
    if (!Number.isFinite(threshold)) throw scoreError(threshold);
    return [{ scores: group, threshold, expected }];
  });
}

function kthSmallest(group: Group, k: number): number {
  const scores = group.map(([, score]) => score);
  return pabOps().kthSmallest(scores, k);
}

function scoreError(threshold: number): UserError {
  return new UserError({
    operation: "prune",
    argument: "the scores",
    expected: "finite numbers",
    received: Number.isNaN(threshold) ? "NaN" : "infinity",
    remedy: "the network's outputs overflow or its weights are broken: try another --init-method or pruner",
  });
}
