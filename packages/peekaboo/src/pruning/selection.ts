import { noGrad, ops, scope, type Tensor, UserError } from "@peekaboo/torch";
import { pabOps } from "../native/library.js";
import { setting } from "../setting.js";
import { keepBest } from "./best.js";
import { erdosRenyiKernelCounts } from "./erdos-renyi.js";
import { raised } from "./min-kept.js";

/** `global`: all layers' scores compete; `local`: each layer keeps the same fraction; `erk`: one that follows from its shape. */
export type PruneScope = "global" | "local" | "erk";

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

/** How much of each layer stays whatever its scores. */
export interface Floor {
  /** How many of a layer's weights stay at least. */
  least(size: number): number;
  /** What a layer has kept so far, 0 elsewhere: of equal scores, these weights come first. */
  kept(name: string): Tensor;
}

/** How many of `total` weights stay at a density: all but floor((1-density)·total). */
export function keptOf(density: number, total: number): number {
  return total - Math.floor((1 - density) * total);
}

/**
 * The masks that keep the weights whose score is above the k-th smallest, k = floor((1-density)·N), over all tensors
 * together or over each (docs/algorithm.md §2); null for a group where k < 1, whose masks stay. With `erk` scope each keeps
 * its {@link erdosRenyiKernelCounts}, and one that stays whole where others don't has a mask of ones.
 *
 * With a floor, a tensor that would keep fewer keeps its best `least` instead, and the others give as many: globally those of
 * the smallest scores, with the other scopes each in proportion to what it keeps beyond its own minimum. The minima must fit
 * in what is kept. Where no tensor falls below its minimum, the masks are those without a floor.
 *
 * @throws {UserError} when a score is not a number.
 */
export function selectMasks(
  scores: ReadonlyMap<string, Tensor>,
  density: number,
  how: PruneScope,
  floor: Floor | null = null,
): Selection {
  const selection: Selection = { masks: new Map(), groups: [] };
  noGrad(() => {
    const groups = groupsOf(scores, density, how, floor);
    for (const group of floor === null ? groups : groups.flatMap((one) => aboveFloor(one, floor, selection))) {
      const [cut] = cutOf(group, kthSmallest);
      if (cut !== undefined) keepAbove(cut, selection);
    }
    if (how === "erk") completeMasks(scores, selection.masks);
  });
  return selection;
}

/** Where some have masks, gives the others masks of ones. */
export function completeMasks(scores: ReadonlyMap<string, Tensor>, masks: Map<string, Tensor>): void {
  if (masks.size === 0) return;
  for (const [name, score] of scores) {
    if (!masks.has(name)) masks.set(name, ops.onesLike(score, { dtype: "uint8" }));
  }
}

function keepAbove({ scores, threshold, expected }: Cut, selection: Selection): void {
  const group = { expected, kept: 0, ties: 0 };
  for (const [name, score] of scores) {
    const [mask, kept, ties] = pabOps().keepAbove(score, threshold);
    group.kept += kept;
    group.ties += ties;
    selection.masks.set(name, mask);
  }
  selection.groups.push(group);
}

/** Selects of the tensors that fall below their minimum, and returns what is left to select from, with what is left to keep. */
function aboveFloor({ scores, expected }: Budgeted, floor: Floor, selection: Selection): Budgeted[] {
  let rest = { scores, expected };
  // Each turn takes at least one tensor away; as the others give, more may fall below.
  for (;;) {
    const [cut] = cutOf(rest, kthSmallest);
    if (cut === undefined) return [rest];
    const short = rest.scores.filter(([, score]) => countAbove(score, cut.threshold) < floor.least(score.numel));
    if (short.length === 0) return [rest];
    for (const [name, score] of short) {
      const kept = floor.least(score.numel);
      selection.masks.set(name, keepBest(score, kept, floor.kept(name)));
      selection.groups.push({ expected: kept, kept, ties: 0 });
      rest = { scores: rest.scores.filter(([other]) => other !== name), expected: rest.expected - kept };
    }
    if (rest.scores.length === 0) return [];
  }
}

function countAbove(score: Tensor, threshold: number): number {
  return scope(() => pabOps().keepAbove(score, threshold)[1]);
}

/** Tensors that are cut at one threshold, by state name. */
export type Group = readonly (readonly [name: string, scores: Tensor])[];

/** A group, and how many of its weights are to stay. */
interface Budgeted {
  scores: Group;
  expected: number;
}

/** Where a group is cut: what is at most the threshold goes. */
export interface Cut extends Budgeted {
  threshold: number;
}

/**
 * The thresholds of {@link selectMasks} without a floor.
 * @throws {UserError} when a score is not a number.
 *
 * @param kth the k-th smallest of a group's scores, where its tensors aren't the scores themselves
 */
export function findCuts(
  scores: ReadonlyMap<string, Tensor>,
  density: number,
  how: PruneScope,
  kth: (group: Group, k: number) => number = kthSmallest,
): Cut[] {
  return groupsOf(scores, density, how, null).flatMap((group) => cutOf(group, kth));
}

function groupsOf(
  scores: ReadonlyMap<string, Tensor>,
  density: number,
  how: PruneScope,
  floor: Floor | null,
): Budgeted[] {
  const all = [...scores];
  const kept = keptOf(density, totalOf(all));
  if (how === "global") return [{ scores: all, expected: kept }];
  const budgets =
    how === "erk"
      ? erdosRenyiKernelCounts(
          all.map(([, { shape }]) => shape),
          kept,
        )
      : all.map(([, { numel }]) => keptOf(density, numel));
  const minima = all.map(([, { numel }]) => floor?.least(numel) ?? 0);
  const expected = raised(budgets, minima);
  return all.map((one, i) => ({ scores: [one], expected: expected[i] ?? 0 }));
}

/** None where nothing is cut. */
function cutOf({ scores, expected }: Budgeted, kth: (group: Group, k: number) => number): Cut[] {
  const cut = totalOf(scores) - expected;
  if (cut < 1) return [];
  const threshold = kth(scores, cut);
  if (!Number.isFinite(threshold)) throw scoreError(threshold);
  return [{ scores, threshold, expected }];
}

function totalOf(group: Group): number {
  return group.reduce((sum, [, { numel }]) => sum + numel, 0);
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
    remedy: `the network's outputs overflow or its weights are broken: try another ${setting("initMethod")} or pruner`,
  });
}
