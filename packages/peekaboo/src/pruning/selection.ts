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
  const names = [...scores.keys()];
  const groups = how === "global" ? [names] : names.map((name) => [name]);
  const selection: Selection = { masks: new Map(), groups: [] };
  noGrad(() => {
    for (const group of groups) selectGroup(group, scores, density, selection);
  });
  return selection;
}

function selectGroup(
  names: readonly string[],
  scores: ReadonlyMap<string, Tensor>,
  density: number,
  selection: Selection,
): void {
  const own = names.flatMap((name) => scores.get(name) ?? []);
  const total = own.reduce((sum, { numel }) => sum + numel, 0);
  const expected = keptOf(density, total);
  const cut = total - expected;
  if (cut < 1) return;
  const { kthSmallest, keepAbove } = pabOps();
  const threshold = kthSmallest(own, cut);
  if (!Number.isFinite(threshold)) throw scoreError(threshold);
  const group = { expected, kept: 0, ties: 0 };
  for (const [i, score] of own.entries()) {
    const [mask, kept, ties] = keepAbove(score, threshold);
    group.kept += kept;
    group.ties += ties;
    selection.masks.set(names[i] ?? "", mask);
  }
  selection.groups.push(group);
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
