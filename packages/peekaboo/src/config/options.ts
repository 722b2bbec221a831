import { choice, optional } from "./kinds.js";
import { boardOptions } from "./options/board.js";
import { bop, bop2 } from "./options/bop.js";
import { data } from "./options/data.js";
import { distributed } from "./options/distributed.js";
import { exportOptions } from "./options/export.js";
import { network, ownArch } from "./options/network.js";
import { pruning } from "./options/pruning.js";
import { psg } from "./options/psg.js";
import { run } from "./options/run.js";
import { sgd } from "./options/sgd.js";
import { training } from "./options/training.js";
import { option } from "./table.js";

export { IMAGE_FOLDER } from "./options/data.js";
export { boardOptions, exportOptions, ownArch };

/**
 * Every setting of a training run, nested as in `config.json`. The flags, the help, the validation and the type of the
 * configuration all come from this table.
 */
export const trainOptions = { ...network, ...data, ...training, sgd, bop, bop2, psg, pruning, distributed, ...run };

/** The settings of an evaluation, a checkpoint's own configuration telling the rest. */
export const evaluateOptions = {
  engine: option({
    flags: "--engine <name>",
    kind: optional(choice(["runtime", "torch"])),
    default: null,
    defaultText: "runtime for a .pab file, torch for a checkpoint",
    help: "What computes: runtime, which is WebAssembly on one thread and needs no libtorch; or torch.",
  }),
  arch: ownArch,
  workers: data.workers,
  onBadImage: data.onBadImage,
  data: data.data,
  dataFolder: data.dataFolder,
  testLimit: data.testLimit,
  batchSize: { ...training.batchSize, help: "Images per batch; the result doesn't depend on it." },
  device: run.device,
  useCuda: run.useCuda,
  threads: run.threads,
  json: run.json,
};

/** The settings of training under the headings of `--help`. */
export const trainHelp = {
  Network: network,
  Data: data,
  Pruning: pruning,
  Training: training,
  "SGD (BatchNorm and Linear; everything with --optimizer SGD)": sgd,
  "Bop (--optimizer BOP or BOP2)": bop,
  "Bop of second order (--optimizer BOP2)": bop2,
  "PSG (the Psg networks' weight gradients)": psg,
  "Several processes": distributed,
  Run: run,
};

/** A flag of the original that its program reads and never uses, or whose subject doesn't exist here. */
export interface IgnoredFlag {
  readonly flags: string;
  readonly why: string;
}

/** Flags accepted so that the original's command lines run; each is answered with a note. */
export const ignoredFlags: readonly IgnoredFlag[] = [
  { flags: "--tsbdir <folder>", why: "the run's figures go to its folder, by --log tensorboard into event files, too" },
  { flags: "--bop-threshold-scale <s>", why: "the reference never uses it" },
  { flags: "--scaled-mag-quantile <q>", why: "the reference never uses it" },
];
