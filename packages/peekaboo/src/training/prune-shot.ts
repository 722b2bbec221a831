import type { PruningConfig } from "../config/config.js";
import { formatCount } from "../console/format.js";
import type { Batch } from "../data/batch.js";
import type { BatchSource } from "../data/batch-source.js";
import { sampleWithoutReplacement } from "../data/order.js";
import type { Network } from "../models/network.js";
import { type PruneReport, prune } from "../pruning/loop.js";
import { findPruner } from "../pruning/pruners/registry.js";
import { thinLayersInWords } from "../runs/thin-layers.js";
import { againstEmptyLayers, againstTies } from "./pruning-advice.js";
import { type PrunedShot, type PruningSharing, pruneOnce } from "./pruning-sharing.js";
import type { Reporter } from "./reporter.js";

/** Training images that the data-dependent pruners see. */
const SAMPLE = 100;

export interface PruneShot {
  pruning: PruningConfig;
  /** The fraction of weights that is kept after it. */
  density: number;
  network: Network;
  /** The training images. */
  source: BatchSource;
  seed: number;
  epoch: number;
  reporter: Reporter;
  /** After each round, and while another run's pruning is waited for; may wait itself, and stops it all by throwing. */
  onRound(): Promise<void>;
  /** With whom its result is shared; default: nobody. */
  sharing?: PruningSharing | null;
}

/**
 * Prunes a network once, or takes over what another run came to, and reports what it kept; returns that.
 * @throws {UserError} as `prune` does.
 */
export async function pruneShot(shot: PruneShot): Promise<PrunedShot> {
  const { pruning, sharing = null } = shot;
  const begun = performance.now();
  const batches = findPruner(pruning.pruner).needsData ? await sampleBatches(shot) : [];
  const sampling = performance.now() - begun;
  const alone = async () => {
    const since = performance.now() - sampling;
    const report = await pruneAlone(shot, batches);
    return { report, seconds: (performance.now() - since) / 1000 };
  };
  try {
    const pruned = sharing === null ? await alone() : await pruneOnce(sharing, { ...shot, batches }, alone);
    tell(pruned, shot);
    return pruned;
  } finally {
    for (const { input, target } of batches) {
      input.dispose();
      target.dispose();
    }
  }
}

async function pruneAlone(shot: PruneShot, batches: readonly Batch[]): Promise<PruneReport> {
  const { pruning, density, network, source, seed, reporter, onRound } = shot;
  const { pruner, iterations, schedule, scope, minKept, maskShuffle } = pruning;
  reporter.begin?.({ kind: "prune", pruner, total: iterations });
  try {
    return await prune(network, {
      pruner: findPruner(pruner),
      density,
      iterations,
      schedule,
      scope,
      minKept,
      imageShape: source.imageShape,
      seed,
      shuffle: maskShuffle,
      batches: () => batches,
      onRound: async (done) => {
        reporter.advance?.(done);
        await onRound();
      },
    });
  } finally {
    reporter.end?.();
  }
}

/** A hundred training images, with the training transforms, in batches. */
async function sampleBatches({ pruning, source, seed, epoch }: PruneShot): Promise<Batch[]> {
  const count = Math.min(SAMPLE, source.count);
  const chosen = sampleWithoutReplacement(seed, "prune/images", source.count, count);
  const batches: Batch[] = [];
  for await (const batch of source.training(chosen, Math.min(pruning.batchSize, count), seed, epoch))
    batches.push(batch);
  return batches;
}

/** Tells what was pruned, what went wrong, and what to change. */
function tell({ report, ...how }: PrunedShot, { pruning, reporter }: PruneShot): void {
  const { layers, emptied, tied } = report;
  reporter.prune?.({ ...report, ...how });
  if (tied >= 5) {
    const more = `${formatCount(tied)} more are gone than asked for, since their scores equal the threshold`;
    reporter.warn?.(`${more}. ${againstTies(pruning)}`);
  }
  if (emptied.length > 0) {
    reporter.warn?.(`nothing is left of ${emptied.join(", ")}: no signal passes there. ${againstEmptyLayers(pruning)}`);
  }
  const alive = layers.filter((layer) => layer.kept > 0);
  const thin = thinLayersInWords(alive, pruning.minKept);
  if (thin !== null) reporter.note?.(`${thin}.`);
}
