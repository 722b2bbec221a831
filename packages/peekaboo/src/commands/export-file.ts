import { statSync } from "node:fs";
import { dirname, join, parse } from "node:path";
import { refuseUnwritable, writeSafetensors } from "@peekaboo/files";
import type { TensorEntry } from "@peekaboo/files/safetensors";
import { writePth } from "@peekaboo/pth";
import { entryOf, scope } from "@peekaboo/torch";
import { namedMasks } from "../checkpoint/checkpoint.js";
import type { Guard } from "../console/interrupt.js";
import { nameOfNonfinite } from "../models/first-nonfinite.js";
import type { Network } from "../models/network.js";
import { openNetwork } from "../pab/open-network.js";
import { refuseOverwriting } from "./output.js";

/** What other programs read: PyTorch's own files, or safetensors. */
const EXPORT_FORMATS = ["pth", "safetensors"] as const;

type ExportFormat = (typeof EXPORT_FORMATS)[number];

export interface ExportOptions {
  format: ExportFormat;
  /** Null: beside the checkpoint, see {@link exportFile}. */
  output: string | null;
  /** Weights and masks apart, instead of their product. */
  raw: boolean;
  /** Replaces a file that is there. */
  force: boolean;
}

/** What {@link exportFile} wrote. */
export interface Exported {
  output: string;
  tensors: number;
  bytes: number;
  /** The state names of the masked weights. */
  masked: string[];
  /** The first tensor that holds NaN or infinity; absent where all are finite. */
  nonfinite?: string;
}

/**
 * Writes a checkpoint's network for PyTorch: the effective state (mask ⊙ weight) under PyTorch's names, with each
 * BatchNorm's `num_batches_tracked`, so that load_state_dict takes it strictly. Raw, weights stay as they are and
 * `mask.NAME` (uint8) stands beside.
 *
 * Without an output it goes beside the checkpoint: `best.safetensors` becomes `best.effective.pth` or `best.raw.pth`.
 *
 * @throws {UserError} when the file is no checkpoint, or the output is there already or can't be written; Interrupted after
 * a signal, with nothing written.
 */
export async function exportFile(
  file: string,
  options: ExportOptions,
  guard?: Pick<Guard, "check">,
): Promise<Exported> {
  const { format, raw } = options;
  const output = options.output ?? defaultOutput(file, options);
  refuseOverwriting("export", file, output, options.force);
  refuseUnwritable("export", output);
  const { network, progress } = openNetwork("export", file);
  try {
    const entries = withBatchCounts(raw ? rawState(network) : effectiveState(network), progress.step);
    const nonfinite = nameOfNonfinite(network.module.stateDict());
    // From here on it is written whole, whatever signal comes.
    await guard?.check();
    if (format === "pth") await writePth(output, entries);
    else writeSafetensors(output, entries, { format: "pt" });
    const masked = [...network.masks().keys()];
    return {
      output,
      tensors: entries.length,
      bytes: statSync(output).size,
      masked,
      ...(nonfinite === undefined ? {} : { nonfinite }),
    };
  } finally {
    network.dispose();
  }
}

function defaultOutput(file: string, { format, raw }: ExportOptions): string {
  return join(dirname(file), `${parse(file).name}.${raw ? "raw" : "effective"}.${format}`);
}

/** The state with each masked weight as it takes effect. */
function effectiveState(network: Network): Map<string, TensorEntry> {
  return scope(() => new Map([...network.effectiveState()].map(([name, tensor]) => [name, entryOf(tensor)])));
}

/** The state as it is, then the masks. */
function rawState(network: Network): Map<string, TensorEntry> {
  const tensors = [...network.module.stateDict(), ...namedMasks(network)];
  return new Map(tensors.map(([name, tensor]) => [name, entryOf(tensor)]));
}

/** The state with PyTorch's count of training steps after the statistics of each BatchNorm. */
function withBatchCounts(state: ReadonlyMap<string, TensorEntry>, steps: number): [string, TensorEntry][] {
  const data = new Uint8Array(BigInt64Array.of(BigInt(steps)).buffer);
  return [...state].flatMap(([name, entry]): [string, TensorEntry][] => {
    const owner = /^(.*)running_var$/.exec(name)?.[1];
    const own: [string, TensorEntry] = [name, entry];
    return owner === undefined ? [own] : [own, [`${owner}num_batches_tracked`, { dtype: "I64", shape: [], data }]];
  });
}
