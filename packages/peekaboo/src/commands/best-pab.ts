import { existsSync } from "node:fs";
import { writeFileAtomic } from "@peekaboo/files";
import { UserError } from "@peekaboo/files/errors";
import { type PartSizes, pabPartSizes } from "@peekaboo/seed";
import { loadNetwork } from "../checkpoint/checkpoint.js";
import { readPab } from "../checkpoint/pab-file.js";
import { encodeNetwork } from "../pab/write-pab.js";
import type { RunFolder } from "../runs/run-folder.js";
import type { Reporter } from "../training/reporter.js";
import type { Sources } from "./sources.js";

/** A .pab file that was written. */
export interface WrittenPab {
  readonly path: string;
  readonly bytes: number;
  readonly sizes: PartSizes;
}

/** The file that a run has written, if it is there and whole. */
export function existingPab({ bestPab: path }: Pick<RunFolder, "bestPab">): WrittenPab | null {
  try {
    return readPab("train", path, (bytes) => ({ path, bytes: bytes.length, sizes: pabPartSizes(bytes) }));
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return null;
  }
}

/**
 * Writes a run's best network beside its checkpoint as a seed, masks and signs. Returns null where it can't be: its weights were
 * trained by SGD, or there is no best network yet; a run isn't lost by that.
 */
export async function writeBestPab(
  { best, bestPab: path }: Pick<RunFolder, "best" | "bestPab">,
  sources: Pick<Sources, "classes" | "checksums" | "test">,
  reporter: Reporter,
): Promise<WrittenPab | null> {
  if (!existsSync(best)) return null;
  const { network, config, progress } = loadNetwork(best);
  try {
    if (config.optimizer === "SGD" && !network.variant.endsWith("seed")) return null;
    const { bestAccuracy: accuracy } = progress;
    const test = accuracy === null ? null : { accuracy, images: sources.test.count };
    const { classes } = sources;
    const { bytes } = encodeNetwork({
      network,
      config,
      name: best,
      classes,
      test,
      checksums: await sources.checksums(),
    });
    writeFileAtomic(path, [bytes]);
    return { path, bytes: bytes.length, sizes: pabPartSizes(bytes) };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    reporter.note?.(`best.pab wasn't written: ${error.message}`);
    return null;
  } finally {
    network.dispose();
  }
}
