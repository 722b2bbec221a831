import { shuffledMask } from "@peekaboo/seed";
import { noGrad, scope, Tensor, UserError } from "@peekaboo/torch";
import type { Batch } from "../data/batch.js";
import type { Network } from "../models/network.js";
import { pabOps } from "../native/library.js";
import { setting } from "../setting.js";
import { leastOf, type MinKept } from "./min-kept.js";
import { refuseLargeMinimum } from "./min-kept-fit.js";
import type { Pruner, ScoreContext } from "./pruner.js";
import { densityOfRound, type PruneSchedule } from "./schedule.js";
import { type Floor, findCuts, type Group, type PruneScope, type Selected, selectMasks } from "./selection.js";
import { masksOf, StreamedCuts } from "./streamed.js";

export interface PruneOptions {
  pruner: Pruner;
  /** The fraction of prunable weights to keep, in (0, 1]. */
  density: number;
  /** Rounds of scoring and masking; default: as many as the pruner's authors use. */
  iterations?: number;
  /** How the density falls from round to round; default: "exponential". */
  schedule?: PruneSchedule;
  /** How what is kept is divided among the layers; default: "global". */
  scope?: PruneScope;
  /** What each layer keeps at least, of its best scores, in each round; default: nothing. */
  minKept?: MinKept | null;
  /** [C, H, W] of an image; default: the network's. */
  imageShape?: readonly number[];
  /** What random scores and shuffled masks follow from; default: the network's seed. */
  seed?: number;
  /** Whether each layer's kept weights are put, in the end, where (seed, state name) alone say. */
  shuffle?: boolean;
  /** Called for pruners that need data. */
  batches?: () => readonly Batch[];
  /** After each round; may wait, and stops the loop by throwing. */
  onRound?(done: number): Promise<void> | void;
}

/** What one layer keeps. */
export interface LayerKept {
  name: string;
  kept: number;
  total: number;
}

export interface PruneReport {
  kept: number;
  total: number;
  layers: LayerKept[];
  /** Layers with nothing left. */
  emptied: string[];
  /** How many weights are gone beyond the target, because their scores equal the threshold. */
  tied: number;
}

/**
 * Prunes in rounds of scoring and masking (docs/algorithm.md §2), in float64 and evaluation mode on a plain copy of the network,
 * and sets the network's masks.
 *
 * @throws {UserError} when nothing is left, when a score is not finite, when the layers' minima are more than what is kept, or
 * when the kept count is off by 5 or more for a reason other than ties.
 */
export async function prune(network: Network, options: PruneOptions): Promise<PruneReport> {
  const { pruner, density, iterations = pruner.rounds ?? 1, schedule = "exponential" } = options;
  const { minKept = null, imageShape = network.imageShape, seed = network.origin?.seed ?? 0, onRound } = options;
  const { scope: how = "global", shuffle = false } = { ...options, ...pruner.always };
  refuseMinimum(network, minKept, density);
  const copy = network.plainTwin();
  const floor = minKept === null ? null : floorOf(copy, minKept);
  try {
    const [first] = network.module.stateDict().values();
    copy.module.loadStateDict(stateFor(copy, network));
    copy.module.to({ dtype: "float64", device: first?.device ?? "cpu" }).eval();
    pruner.prepare?.(copy);
    if (pruner.derivatives) cut(copy, network.masks());
    else copy.setMasks(network.masks());
    const batches = pruner.needsData ? (options.batches?.() ?? []) : [];
    if (pruner.needsData && batches.length === 0) throw new TypeError(`prune: expected images for ${pruner.name}`);
    const streamed = new StreamedCuts();
    let tied = 0;
    for (let i = 0; i < iterations; i++) {
      const goal = densityOfRound(schedule, density, i, iterations);
      const context = { network: copy, imageShape, batches, density: goal, seed };
      const last = i === iterations - 1;
      tied = scope(() => pruneOnce(pruner, context, { network, how, floor, last, streamed }));
      await onRound?.(i + 1);
    }
    if (shuffle) shuffleMasks(copy, seed);
    network.setMasks(copy.masks());
    const report = reportOf(copy, tied);
    if (report.kept === 0) throw nothingLeft(report, pruner);
    return report;
  } finally {
    copy.dispose();
  }
}

interface Round {
  network: Network;
  how: PruneScope;
  floor: Floor | null;
  last: boolean;
  streamed: StreamedCuts;
}

/** One round on the copy; how many weights are gone beyond the last round's target. */
function pruneOnce(pruner: Pruner, context: ScoreContext, { network, how, floor, last, streamed }: Round): number {
  const { network: copy, density } = context;
  const factors = floor === null ? (pruner.factors?.(context) ?? null) : null;
  if (factors !== null) {
    const cuts = streamed.cut(factors, density, how);
    if (!last) return 0;
    const { masks, groups } = masksOf(cuts, factors, how);
    const tied = checkCounts(groups);
    copy.setMasks(network.masks());
    copy.setMasks(masks);
    return tied;
  }
  if (pruner.derivatives && !last && floor === null) {
    cutBelow(copy, pruner.derivatives(context), density, how);
    return 0;
  }
  const { masks, groups } = selectMasks(pruner.score(context), density, how, floor);
  if (pruner.derivatives && !last) {
    cut(copy, masks);
    return 0;
  }
  const tied = last ? checkCounts(groups) : 0;
  if (pruner.derivatives) copy.setMasks(network.masks());
  copy.setMasks(masks);
  return tied;
}

/** @throws {UserError} when the network's layers can't each keep so much at a density. */
export function refuseMinimum(network: Network, least: MinKept | null, density: number): void {
  const sizes = [...network.prunable().values()].map(({ weight }) => weight.numel);
  if (least !== null) refuseLargeMinimum(least, sizes, density);
}

function floorOf(copy: Network, minKept: MinKept): Floor {
  const layers = copy.prunable();
  return {
    least: (size) => leastOf(minKept, size),
    kept: (name) => {
      const layer = layers.get(name);
      if (layer === undefined) throw new TypeError(`prune: expected scores of prunable layers, received ${name}'s`);
      return layer.effectiveWeight().detach();
    },
  };
}

/** Sets the weights to zero that the masks cut, as far as there are masks. */
function cut(copy: Network, masks: ReadonlyMap<string, Tensor>): void {
  const { zeroCut_ } = pabOps();
  noGrad(() => {
    for (const [name, { weight }] of copy.prunable()) {
      const mask = masks.get(name);
      if (mask !== undefined) zeroCut_(weight, mask);
    }
  });
}

/** Sets the weights to zero whose |∂R/∂w ⊙ w| is not above the thresholds. */
function cutBelow(copy: Network, derivatives: ReadonlyMap<string, Tensor>, density: number, how: PruneScope): void {
  const { kthSaliency, zeroBelow_ } = pabOps();
  const layers = copy.prunable();
  const pairs = (group: Group) =>
    group.flatMap(([name, gradient]) => {
      const weight = layers.get(name)?.weight;
      return weight === undefined ? [] : [{ gradient, weight }];
    });
  noGrad(() => {
    const cuts = findCuts(derivatives, density, how, (group, k) => {
      const both = pairs(group);
      return kthSaliency(
        both.map(({ gradient }) => gradient),
        both.map(({ weight }) => weight),
        k,
      );
    });
    for (const { scores, threshold } of cuts) {
      for (const { gradient, weight } of pairs(scores)) zeroBelow_(weight, gradient, threshold);
    }
  });
}

/** The network's state without what its plain twin doesn't have: latent scores. */
function stateFor(twin: Network, network: Network): Map<string, Tensor> {
  const names = twin.module.stateDict();
  return new Map([...network.module.stateDict()].filter(([name]) => names.has(name)));
}

function shuffleMasks(network: Network, seed: number): void {
  scope(() => {
    const masks = [...network.masks()].map(([name, mask]) => {
      const { shape } = mask;
      return [name, Tensor.from(shuffledMask(seed, name, shape, countOnes(mask)), { shape, share: true })] as const;
    });
    network.setMasks(new Map(masks));
  });
}

/** Ties with the threshold may take more weights than asked, and nothing else: returns how many. */
function checkCounts(groups: readonly Selected[]): number {
  let tied = 0;
  for (const { expected, kept, ties } of groups) {
    const off = Math.abs(expected - kept);
    if (kept < expected && off <= ties) tied += off;
    else if (off >= 5) throw countError(expected, kept);
  }
  return tied;
}

function countError(expected: number, kept: number): UserError {
  return new UserError({
    operation: "prune",
    argument: "the number of kept weights",
    expected: String(expected),
    received: String(kept),
    remedy: `the scores are broken (NaN, or too small to tell apart): try another pruner or ${setting("initMethod")}`,
  });
}

/** What a network's masks keep, `tied` weights being gone beyond the target. */
export function reportOf(network: Network, tied: number): PruneReport {
  const layers = [...network.prunable()].map(([name, { mask, weight }]) => {
    const total = weight.numel;
    return { name, kept: mask === null ? total : countOnes(mask), total };
  });
  const sum = (key: "kept" | "total") => layers.reduce((value, layer) => value + layer[key], 0);
  const emptied = layers.filter(({ kept }) => kept === 0).map(({ name }) => name);
  return { kept: sum("kept"), total: sum("total"), layers, emptied, tied };
}

function nothingLeft({ total }: PruneReport, pruner: Pruner): UserError {
  return new UserError({
    operation: "prune",
    argument: "the network",
    expected: "some weights to keep",
    received: `none of ${total}`,
    remedy: `${pruner.name} cannot tell the weights apart (all scores are equal): choose another ${setting("initMethod")} or pruner, or a higher density`,
  });
}

function countOnes(mask: Tensor): number {
  return scope(() => mask.sum().item());
}
