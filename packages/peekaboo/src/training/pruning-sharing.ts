import { existsSync } from "node:fs";
import { join } from "node:path";
import { errorCode, type FileLock, makeFolder } from "@peekaboo/files";
import { printable, UserError } from "@peekaboo/files/errors";
import { entryOf, getThreads, type Tensor } from "@peekaboo/torch";
import { namedMasks } from "../checkpoint/checkpoint.js";
import { readMasks, writeMasks } from "../checkpoint/masks-file.js";
import type { PruningConfig } from "../config/config.js";
import type { Batch } from "../data/batch.js";
import type { BatchSource } from "../data/batch-source.js";
import { sha256 } from "../data/checksum.js";
import type { Network } from "../models/network.js";
import { findNetwork } from "../models/registry.js";
import { type PruneReport, reportOf } from "../pruning/loop.js";
import { environmentOf } from "../runs/environment.js";
import { removeUnfinished } from "../runs/run-folder.js";
import { awaitLock } from "../runs/run-lock.js";
import type { Pruned, Reporter } from "./reporter.js";

const OPERATION = "share the pruning";
/** Far more than a pruning takes: whoever holds the lock for so long does nothing any more. */
const PATIENCE_MS = 3_600_000;

/** Where the results of prunings are shared, and by which run. */
export interface PruningSharing {
  folder: string;
  /** The run's name, under which others know its result. */
  run: string;
  /** Where the images come from that the pruner may look at. */
  dataset: string;
}

/** What a pruning came to. */
export type PrunedShot = Pick<Pruned, "seconds" | "takenFrom"> & { report: PruneReport };

/** A pruning that is to be done, or was. */
interface Shot {
  pruning: PruningConfig;
  density: number;
  seed: number;
  network: Network;
  source: Pick<BatchSource, "imageShape">;
  /** What the pruner looks at. */
  batches: readonly Batch[];
  reporter: Reporter;
  /** While another run's pruning is waited for; stops that by throwing. */
  onRound(): Promise<void>;
}

/**
 * Gives a network the masks that another run left in the folder, or prunes it by `prune` and leaves its masks there. Of several
 * runs at a time one prunes, and the others wait for it. Where sharing fails, a warning says so, and the network is pruned.
 */
export async function pruneOnce(
  sharing: PruningSharing,
  shot: Shot,
  prune: () => Promise<PrunedShot>,
): Promise<PrunedShot> {
  const key = keyOf(sharing, shot);
  const place = join(sharing.folder, key);
  using lock = await lockPlace(place, shot);
  if (lock === null) return prune();
  removeUnfinished({ path: place });
  const file = join(place, "masks.safetensors");
  const found = existsSync(file) ? takeOver(file, key, shot) : null;
  if (found !== null) return found;
  const pruned = await prune();
  const { report, seconds } = pruned;
  try {
    await writeMasks(file, shot.network, key, { run: sharing.run, seconds, tied: report.tied });
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    shot.reporter.warn?.(`no other run can take over this pruning: ${error.message}`);
  }
  return pruned;
}

/** The lock of the runs that prune alike; null, with a warning, where it isn't to be had. */
async function lockPlace(place: string, { reporter, onRound }: Shot): Promise<FileLock | null> {
  const path = join(place, "pruning.lock");
  let told = false;
  const onHeld = async () => {
    if (!told) reporter.say?.("Another run is at the same pruning: waiting for its masks.");
    told = true;
    await onRound();
  };
  const onWatch = (text: string) => reporter.say?.(text);
  try {
    makeFolder(OPERATION, place);
    const lock = await awaitLock(path, { operation: OPERATION, patience: PATIENCE_MS, onHeld, onWatch });
    if (lock === null) reporter.warn?.(`${printable(path)} has been held for an hour: this run prunes for itself.`);
    return lock;
  } catch (error) {
    const code = errorCode(error);
    if (!(error instanceof UserError) && code === undefined) throw error;
    const why = error instanceof UserError ? error.message : `${printable(place)} can't be written to (${code}).`;
    reporter.warn?.(`this run prunes for itself: ${why}`);
    return null;
  }
}

function takeOver(file: string, key: string, { network, reporter }: Shot): PrunedShot | null {
  try {
    const { run: takenFrom, seconds, tied } = readMasks(file, network, key);
    return { report: reportOf(network, tied), seconds, takenFrom };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const { expected, received } = error;
    reporter.warn?.(
      `${printable(file)} holds no masks for this run, which prunes for itself (expected ${expected}, received ${received}).`,
    );
    return null;
  }
}

/** The SHA-256 of all that decides a pruning's result: settings, weights, images and what computes with them. */
function keyOf({ dataset }: PruningSharing, { network, source, pruning, density, seed, batches }: Shot): string {
  const { pruner, iterations, schedule, scope, minKept, maskShuffle } = pruning;
  const { architecture, variant } = findNetwork(network.options.arch);
  const images = batches.flatMap(({ input, target }, i): [string, Tensor][] => [
    [`${i}.input`, input],
    [`${i}.target`, target],
  ]);
  const parts = {
    pruning: { pruner, density, iterations, schedule, scope, minKept, maskShuffle, seed },
    // With predicted gradients or without: what is pruned is the same plain network.
    network: [architecture.name, variant === "psg" ? "plain" : variant, source.imageShape],
    tensors: sumsOf([...network.module.stateDict(), ...namedMasks(network)]),
    images: images.length === 0 ? null : [dataset, sumsOf(images)],
    computer: computer(),
  };
  return sha256(JSON.stringify(parts));
}

function sumsOf(tensors: Iterable<readonly [string, Tensor]>) {
  return [...tensors].map(([name, tensor]) => {
    const { dtype, shape, data } = entryOf(tensor);
    return [name, dtype, shape, sha256(data)];
  });
}

/** Variables of the environment by which libtorch and its libraries may choose other kernels. */
const CHOOSES_KERNELS = /^(ATEN|DNNL|GOMP|KMP|MKL|OMP|ONEDNN|OPENBLAS|TORCH)_/;

/** What sums may be rounded by. */
function computer() {
  const threads = { count: getThreads(), why: "" };
  const variables = Object.entries(process.env).filter(([name]) => CHOOSES_KERNELS.test(name));
  return [environmentOf({ device: "cpu", threads, worldSize: 1, data: {}, argv: [] }), variables.sort()];
}
