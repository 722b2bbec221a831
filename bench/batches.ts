import { existsSync } from "node:fs";
import { manualSeed, ops } from "@peekaboo/torch";
import { openSources } from "#peekaboo/commands/sources";
import { parseConfig } from "#peekaboo/config/config";
import type { Batch } from "#peekaboo/data/batch";
import { cachePath, dataFolder } from "#peekaboo/data/cache";
import { epochOrder } from "#peekaboo/data/order";
import { cifar10 } from "#peekaboo/data/sets/cifar10";
import { TerminalReporter } from "#peekaboo/report/terminal-reporter";

/** So many that no network fits them in the steps of a benchmark. */
const COUNT = 16;

/**
 * Batches of CIFAR-10 from the cache, augmented as in a training; where it isn't, of random images and labels, which is said.
 */
export async function openBatches(size: number, count = COUNT): Promise<Batch[]> {
  if (existsSync(cachePath(dataFolder(), cifar10))) return realBatches(size, count);
  console.error("no CIFAR-10 in the cache (`peekaboo data cifar10` brings it): random images with random labels");
  return randomBatches([size, 3, 32, 32], 10, count);
}

/** Batches of normally distributed pixels [N, C, H, W], laid out as the trainer's, with labels at random. */
export function randomBatches(shape: readonly [number, ...number[]], classes: number, count = COUNT): Batch[] {
  manualSeed(0);
  return Array.from({ length: count }, () => ({
    input: ops.contiguous(ops.randn(shape), { memoryFormat: "channelsLast" }),
    target: ops.randint(0, classes, [shape[0]], { dtype: "int64" }),
  }));
}

async function realBatches(size: number, count: number): Promise<Batch[]> {
  const reporter = new TerminalReporter(process.stderr);
  await using sources = await openSources(parseConfig({ dataset: "cifar10" }), "cpu", { reporter });
  const { train } = sources;
  const order = epochOrder(0, 0, train.count).subarray(0, size * count);
  const batches: Batch[] = [];
  for await (const batch of train.training(order, size, 0, 0)) batches.push(batch);
  return batches;
}
