import type { PruningConfig } from "../config/config.js";
import { formatCount, formatDuration, formatPercent } from "../console/format.js";
import { createProgress } from "../console/progress.js";
import type { Batch } from "../data/batch.js";
import type { BatchSource } from "../data/batch-source.js";
import { sampleWithoutReplacement } from "../data/order.js";
import type { Network } from "../models/network.js";
import { type PruneReport, prune } from "../pruning/loop.js";
import { findPruner } from "../pruning/pruners/registry.js";
import { thinLayersInWords } from "../runs/thin-layers.js";
import { againstEmptyLayers, againstTies } from "./pruning-advice.js";

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
  stream: NodeJS.WritableStream;
  /** After each round; may wait, and stops the pruning by throwing. */
  onRound(): Promise<void>;
}

/** Prunes a network once and tells what it kept; returns that and the seconds it took. Throws UserError as `prune` does. */
export async function pruneShot(shot: PruneShot): Promise<{ report: PruneReport; seconds: number }> {
  const { pruning, density, network, source, seed, stream, onRound } = shot;
  const { pruner: name, iterations, schedule, scope, minKept, maskShuffle } = pruning;
  const pruner = findPruner(name);
  const begun = performance.now();
  const batches = pruner.needsData ? await sampleBatches(shot) : [];
  const bar = createProgress({ total: iterations, title: `prune with ${name}`, stream });
  try {
    const report = await prune(network, {
      pruner,
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
        bar.update(done);
        await onRound();
      },
    });
    bar.stop();
    const seconds = (performance.now() - begun) / 1000;
    tell(report, seconds, shot);
    return { report, seconds };
  } finally {
    bar.stop();
    for (const { input, target } of batches) {
      input.dispose();
      target.dispose();
    }
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

function tell(
  { kept, total, layers, emptied, tied }: PruneReport,
  seconds: number,
  { pruning, stream }: PruneShot,
): void {
  const say = (text: string) => void stream.write(`${text}\n`);
  const share = formatPercent(kept / total);
  say(`Kept ${formatCount(kept)} of ${formatCount(total)} weights (${share} %) in ${formatDuration(seconds)}.`);
  if (pruning.verbose) {
    for (const layer of layers) {
      const own = formatPercent(layer.kept / layer.total).padStart(6);
      say(`  ${own} %  ${formatCount(layer.kept).padStart(11)} of ${formatCount(layer.total)}  ${layer.name}`);
    }
  }
  if (tied >= 5) {
    say(
      `Warning: ${formatCount(tied)} more are gone than asked for, since their scores equal the threshold. ${againstTies(pruning)}`,
    );
  }
  if (emptied.length > 0) {
    say(`Warning: nothing is left of ${emptied.join(", ")}: no signal passes there. ${againstEmptyLayers(pruning)}`);
  }
  const alive = layers.filter((layer) => layer.kept > 0);
  const thin = thinLayersInWords(alive, pruning.minKept);
  if (thin !== null) say(`Note: ${thin}.`);
}
