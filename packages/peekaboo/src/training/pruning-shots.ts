import { ops } from "@peekaboo/torch";
import { type Config, type PruningConfig, sharingFolder } from "../config/config.js";
import type { Network } from "../models/network.js";
import { type Shot, shotsOf } from "../pruning/schedule.js";
import type { MetricsLog } from "../runs/metrics.js";
import { agree } from "./agreement.js";
import { pruneShot } from "./prune-shot.js";
import type { Ranks } from "./ranks.js";
import type { RunCheckpoints } from "./run-checkpoints.js";
import type { RunState } from "./run-state.js";
import type { SessionParts } from "./session-parts.js";

type Parts = Pick<SessionParts, "network" | "train" | "reporter" | "ranks" | "guard" | "folder"> & {
  config: Config<"seed" | "pruning" | "arch" | "dataset" | "device" | "useCuda" | "sharePruning" | "expName">;
  metrics: Pick<MetricsLog, "write"> | null;
  state: RunState;
  checkpoints: Pick<RunCheckpoints, "saveCopy">;
};

/** Takes the shots of pruning that are due before the epoch's first step. @throws {Interrupted} after a signal. */
export async function pruneBeforeEpoch(parts: Parts): Promise<void> {
  const { config, network, ranks, folder, state, checkpoints } = parts;
  const { pruning } = config;
  if (pruning === null) return;
  for (const [index, shot] of shotsOf(pruning).entries()) {
    if (index < state.shots || shot.epoch !== state.epoch) continue;
    if (ranks.rank === 0) await takeShot(parts, pruning, shot, index);
    else await waitForShot(parts);
    state.pruned();
    await shareMasks(network, ranks);
    await checkpoints.saveCopy(folder.pruned);
  }
}

/** Prunes on rank 0, and tells the others of each round and of the end. */
async function takeShot(parts: Parts, pruning: PruningConfig, { density }: Shot, index: number): Promise<void> {
  const { config, network, train, metrics, reporter, ranks, state } = parts;
  const { epoch } = state;
  const { dataset, expName: run } = config;
  const folder = sharingFolder(config);
  const { report, seconds } = await pruneShot({
    pruning,
    density,
    network,
    source: train,
    seed: config.seed,
    epoch,
    reporter,
    onRound: async () => void (await agree(parts, [0])),
    sharing: folder === null ? null : { folder, run, dataset },
  });
  if (ranks.size > 1) await agree(parts, [1]);
  const { kept, total, layers } = report;
  const line = {
    kind: "prune",
    epoch,
    shot: index,
    pruner: pruning.pruner,
    density,
    kept,
    total,
    seconds,
    layers,
  } as const;
  metrics?.write({ ...line, ...(pruning.maskShuffle ? { shuffled: true } : {}) });
}

/** Waits while rank 0 prunes, round by round. */
async function waitForShot(parts: Parts): Promise<void> {
  while ((await agree(parts, [0]))[0] === 0);
}

/** Gives every rank the masks of rank 0, some of whose prunable layers may have none. */
async function shareMasks(network: Network, ranks: Ranks): Promise<void> {
  if (ranks.size === 1) return;
  const layers = [...network.prunable()];
  const masked = layers.map(([, { mask }]) => (ranks.rank === 0 && mask !== null ? 1 : 0));
  const present = await ranks.sum(masked);
  for (const [i, [, layer]] of layers.entries()) {
    if (present[i] === 1 && layer.mask === null) layer.setMask(ops.onesLike(layer.weight.detach(), { dtype: "uint8" }));
  }
  await ranks.share(network.masks());
}
