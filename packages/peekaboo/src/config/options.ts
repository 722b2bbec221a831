import { plainName, SOURCES } from "../data/sources.js";
import { INIT_METHODS } from "../init/weights.js";
import { distUrl } from "../launch/dist-url.js";
import { HIDDEN_ACTS } from "../layers/latent-score.js";
import { prunerNames } from "../pruners/registry.js";
import { checkpointInterval } from "../training/checkpoint-interval.js";
import {
  ascendingIntegers,
  choice,
  device,
  flag,
  integer,
  magnitude,
  number,
  optional,
  patternValues,
  text,
} from "./kinds.js";
import { option } from "./table.js";

function listed(names: readonly string[]): string {
  return `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`;
}

const network = {
  arch: option({
    flags: "--arch <name>",
    kind: text("an architecture"),
    default: "ResNet18",
    help: "Network; `peekaboo models` lists them. Prefix Psg (psg_) predicts gradients, Seed learns latent scores.",
  }),
  width: option({
    flags: "--width <factor>",
    kind: number({ above: 0, atMost: 16 }),
    default: 1,
    help: "Multiplies every layer's channels; 0.25 gives 16 where the paper has 64.",
  }),
  initMethod: option({
    flags: "--init-method <method>",
    kind: choice(INIT_METHODS),
    default: "standard",
    help: `Distribution of the random convolution weights: ${listed(INIT_METHODS)}; standard is PyTorch's default.`,
  }),
  seed: option({
    flags: "--seed <n>",
    kind: integer(0),
    default: 0,
    help: "Every random draw (weights, order, augmentation) follows from this number.",
  }),
  hiddenAct: option({
    flags: "--hidden-act <name>",
    kind: optional(choice(HIDDEN_ACTS)),
    default: null,
    defaultText: "none given",
    help: `What a Seed network's latent scores do to its fixed weights: ${listed(HIDDEN_ACTS)} (whose largest scores keep --prune-ratio of each layer).`,
  }),
  hiddenDensity: option({
    flags: "--hidden-density <d>",
    kind: optional(number({ above: 0, below: 1 })),
    default: null,
    defaultText: "--prune-ratio",
    help: "Fraction of each layer's weights that edge-popup keeps.",
  }),
  scalingInput: option({
    flags: "--scaling-input",
    kind: flag(),
    default: false,
    bare: true,
    help: "Gives a Seed network a learnable scale per input channel.",
  }),
  dropout: option({
    flags: "--dropout <p>",
    kind: number({ atLeast: 0, below: 1 }),
    default: 0,
    help: "Probability that WideResNet drops a value between a block's convolutions in training.",
  }),
  loadPretrained: option({
    flags: "--load-pretrained <file>",
    kind: optional(text("a file")),
    default: null,
    defaultText: "random weights",
    help: "Starts from the state in this file: safetensors, or .pth as torch.save writes it; names and shapes must match.",
  }),
};

/** The data set that is a folder of images, as torchvision's ImageFolder has it. */
export const IMAGE_FOLDER = "imagefolder";

const datasets = [...SOURCES.map(({ name }) => name), IMAGE_FOLDER];

const data = {
  dataset: option({
    flags: "--dataset <name>",
    kind: { ...choice(datasets), fromText: (text) => datasets.find((name) => name === plainName(text)) },
    default: "cifar10",
    help: `Images to learn: ${listed(datasets)}; \`peekaboo data list\` tells what is here.`,
  }),
  data: option({
    flags: "--data <path>",
    kind: optional(text("an archive or a folder")),
    default: null,
    defaultText: "the data folder, else the network",
    help: "Takes the images from this archive, or folder of unpacked files, checks and stores them; for imagefolder, the folder.",
  }),
  dataFolder: option({
    flags: "--data-folder <folder>",
    kind: optional(text("a folder")),
    default: null,
    defaultText: "PEEKABOO_DATA, else the user's cache",
    help: "Folder where data sets are kept.",
  }),
  imageSize: option({
    flags: "--image-size <pixels>",
    kind: integer(8, 4096),
    default: 224,
    help: "Height and width to which an image folder's images are cropped.",
  }),
  workers: option({
    flags: "-j, --workers <n>",
    kind: optional(integer(0, 256)),
    default: null,
    defaultText: "the processors, at most 4",
    help: "Threads that read and decode an image folder's images; the result doesn't depend on it.",
  }),
  onBadImage: option({
    flags: "--on-bad-image <skip|fail>",
    kind: choice(["skip", "fail"]),
    default: "fail",
    help: "What to do about an image that can't be decoded: skip it and count it, or stop.",
  }),
  trainLimit: option({
    flags: "--train-limit <n>",
    kind: optional(integer(1)),
    default: null,
    defaultText: "all",
    help: "Trains on the first n training images only.",
  }),
  testLimit: option({
    flags: "--test-limit <n>",
    kind: optional(integer(1)),
    default: null,
    defaultText: "all",
    help: "Tests on the first n test images only.",
  }),
  grey: option({
    flags: "--grey <rgb|single>",
    kind: choice(["rgb", "single"]),
    default: "rgb",
    help: "Grey images: rgb repeats their channel to three, single gives the network one input channel.",
  }),
};

const training = {
  epochs: option({ flags: "--epochs <n>", kind: integer(1), default: 350, help: "Passes over the training images." }),
  maxSteps: option({
    flags: "--max-steps <n>",
    kind: optional(integer(1)),
    default: null,
    defaultText: "no limit",
    help: "Stops after n optimiser steps, then still evaluates and saves.",
  }),
  batchSize: option({
    flags: "--bs, --batch-size <n>",
    kind: integer(1),
    default: 128,
    help: "Images per training step.",
  }),
  optimizer: option({
    flags: "--optimizer <SGD|BOP|BOP2>",
    kind: choice(["SGD", "BOP", "BOP2"]),
    default: "SGD",
    help: "SGD trains everything; BOP and BOP2 (of second order) flip the signs of the convolution weights and leave the rest to SGD.",
  }),
  onNan: option({
    flags: "--on-nan <stop|skip-batch>",
    kind: choice(["stop", "skip-batch"]),
    default: "stop",
    help: "What to do about a loss or gradient that is NaN or infinite: stop, or skip that batch, leave the network as it was and count it; twenty in a row stop the run.",
  }),
};

const sgd = {
  lr: option({ flags: "--lr <rate>", kind: number({ atLeast: 0 }), default: 0.1, help: "Learning rate of SGD." }),
  momentum: option({
    flags: "--momentum <m>",
    kind: number({ atLeast: 0, below: 1 }),
    default: 0.9,
    help: "Momentum of SGD.",
  }),
  weightDecay: option({
    flags: "--weight-decay <d>",
    kind: number({ atLeast: 0 }),
    default: 5e-4,
    defaultText: "5e-4",
    help: "L2 penalty that SGD adds to the gradient.",
  }),
  lrSchedule: option({
    flags: "--lr-schedule <shape>",
    kind: choice(["step", "cosine", "linear"]),
    default: "step",
    help: "How the learning rate falls: step (to a tenth at each milestone), cosine or linear (to --lr-final).",
  }),
  milestones: option({
    flags: "--milestones <epochs>",
    kind: ascendingIntegers(),
    default: [80, 120],
    defaultText: "80,120",
    help: "Epochs after which the step schedule multiplies the learning rate by 0.1.",
  }),
  lrFinal: option({
    flags: "--lr-final <rate>",
    kind: number({ atLeast: 0 }),
    default: 0,
    help: "Learning rate at the end of a cosine or linear schedule.",
  }),
};

const rate = number({ above: 0, below: 1 });
const flipThreshold = number({ atLeast: 0 });

const bop = {
  ar: option({
    flags: "--ar <gamma>",
    kind: rate,
    default: 1e-3,
    defaultText: "1e-3",
    help: "Adaptivity rate γ: how much of each gradient enters the average that decides flips.",
  }),
  tau: option({
    flags: "--tau <threshold>",
    kind: flipThreshold,
    default: 1e-6,
    defaultText: "1e-6",
    help: "Threshold τ: a weight flips when that average has its sign and at least this magnitude; BOP2 first divides the average by the gradient's root mean square, so τ is a ratio there, of another scale: try 0.1 with --ar 1e-2 (its paper has 1e-6 with --ar 1e-7).",
  }),
  arSchedule: option({
    flags: "--ar-schedule <shape>",
    kind: choice(["step", "cosine", "linear"]),
    default: "step",
    help: "How γ falls: step (by --ar-decay-ratio every --ar-decay-freq epochs), cosine or linear (to --ar-final).",
  }),
  arDecayFreq: option({
    flags: "--ar-decay-freq <epochs>",
    kind: integer(1),
    default: 100,
    help: "Epochs between two decays of γ in the step schedule.",
  }),
  arDecayRatio: option({
    flags: "--ar-decay-ratio <ratio>",
    kind: number({ above: 0, atMost: 1 }),
    default: 0.1,
    help: "Factor of each such decay.",
  }),
  arDecayWhen: option({
    flags: "--ar-decay-when <after|before>",
    kind: choice(["after", "before"]),
    default: "after",
    defaultText: "after; before with an image folder",
    help: "Whether the step schedule lowers γ after the epoch that completes --ar-decay-freq, or, as the original does on ImageNet, before it.",
  }),
  arFinal: option({
    flags: "--ar-final <gamma>",
    kind: number({ atLeast: 0, below: 1 }),
    default: 0,
    help: "γ at the end of a cosine or linear schedule.",
  }),
  arLayers: option({
    flags: "--ar-layers <name=gamma,...>",
    kind: patternValues(rate),
    default: [],
    defaultText: "none",
    help: "γ of single layers by state name, e.g. layer1.*=1e-4,conv1.weight=5e-4; the last match counts, and the schedule multiplies it by what it makes of --ar.",
  }),
  tauLayers: option({
    flags: "--tau-layers <name=threshold,...>",
    kind: patternValues(flipThreshold),
    default: [],
    defaultText: "none",
    help: "τ of single layers, written like --ar-layers.",
  }),
};

const bop2 = {
  sigma: option({
    flags: "--bop2-sigma <sigma>",
    kind: rate,
    default: 1e-3,
    defaultText: "1e-3",
    help: "How much of each squared gradient enters the second average; at the first step the ratio is γ/√σ for every weight, or 1 with the bias correction.",
  }),
  eps: option({
    flags: "--bop2-eps <eps>",
    kind: number({ above: 0 }),
    default: 1e-10,
    defaultText: "1e-10",
    help: "Added to the root of the second average, which divides the first.",
  }),
  biasCorrection: option({
    flags: "--bop2-bias-correction",
    kind: flag(),
    default: false,
    bare: true,
    help: "Rids both averages of their start at zero before they are compared, as Adam does.",
  }),
};

const bits = integer(1, 32);

const psg = {
  backward: option({
    flags: "--psg-no-backward",
    kind: flag(),
    default: true,
    bare: false,
    help: "Uses the plain weight gradient instead of the predicted one.",
  }),
  msbBits: option({
    flags: "--msb-bits <bits>",
    kind: bits,
    default: 4,
    help: "Bits of a layer's input in the predicted gradient; 32 leaves it as it is.",
  }),
  msbBitsWeight: option({
    flags: "--msb-bits-weight <bits>",
    kind: bits,
    default: 4,
    help: "Recorded only: the weight's bits change no result, here as in the reference.",
  }),
  msbBitsGrad: option({
    flags: "--msb-bits-grad <bits>",
    kind: bits,
    default: 8,
    help: "Bits of the output gradient in the predicted gradient; 32 leaves it as it is.",
  }),
  threshold: {
    mode: option({
      flags: "--psg-threshold-mode <mode>",
      kind: choice(["relative", "absolute"]),
      default: "relative",
      help: "relative: the threshold is a fraction of a layer's largest predicted gradient; absolute: a gradient itself.",
    }),
    value: option({
      flags: "--psg-threshold <t>",
      kind: magnitude(),
      default: 0,
      help: "Predicted gradients from this magnitude on are trusted; a minus sign is ignored.",
    }),
  },
  sparsify: option({
    flags: "--psg-sparsify",
    kind: flag(),
    default: false,
    bare: true,
    help: "Sets gradients below the threshold to zero instead of computing them exactly.",
  }),
  takeSign: option({
    flags: "--psg-no-take-sign",
    kind: flag(),
    default: true,
    bare: false,
    help: "Keeps the gradient's magnitude instead of its sign alone.",
  }),
};

const pruning = {
  pruner: option({
    flags: "--pruner <name>",
    kind: optional(choice(prunerNames)),
    default: null,
    defaultText: "no pruning",
    help: `Score that decides which weights stay: ${listed(prunerNames)}.`,
  }),
  density: option({
    flags: "--prune-ratio, --density <d>",
    kind: number({ above: 0, atMost: 1 }),
    default: 1,
    help: "Density: the fraction of weights kept.",
  }),
  epoch: option({
    flags: "--prune-epoch <n>",
    kind: integer(0),
    default: 0,
    help: "Epoch before which the pruning is complete.",
  }),
  shots: option({
    flags: "--prune-shots <n>",
    kind: integer(1),
    default: 1,
    help: "Prunes in n equal steps, spread over the epochs up to --prune-epoch.",
  }),
  iterations: option({
    flags: "--prune-iters <n>",
    kind: integer(1),
    default: 1,
    help: "Rounds of scoring and masking per shot; SynFlow wants 100, the others 1.",
  }),
  schedule: option({
    flags: "--prune-schedule <shape>",
    kind: choice(["exponential", "linear"]),
    default: "exponential",
    help: "How the density falls from round to round: exponential or linear.",
  }),
  scope: option({
    flags: "--prune-scope <scope>",
    kind: choice(["global", "local"]),
    default: "global",
    help: "global: the scores of all layers compete; local: each layer keeps the same fraction.",
  }),
  maskShuffle: option({
    flags: "--mask-shuffle",
    kind: flag(),
    default: false,
    bare: true,
    help: "Keeps each layer's number of weights, but places them at random, by the seed and the layer's name alone.",
  }),
  batchSize: option({
    flags: "--prune-batch-size <n>",
    kind: integer(1),
    default: 256,
    help: "Images per batch for the pruners that look at data (a hundred training images); memory grows with it.",
  }),
  verbose: option({
    flags: "--prune-verbose",
    kind: flag(),
    default: false,
    bare: true,
    help: "Prints what each layer kept.",
  }),
};

const seconds = number({ above: 0, atMost: 7 * 24 * 3600 });

const distributed = {
  nprocPerNode: option({
    flags: "--nproc-per-node <n>",
    kind: optional(integer(1, 1024)),
    default: null,
    defaultText: "this process alone",
    help: "Starts n processes on this machine that train together; --world-size then counts machines, and --rank is this one's.",
  }),
  multiprocessing: option({
    flags: "--multiprocessing-distributed",
    kind: flag(),
    default: false,
    bare: true,
    help: "The same with a process for each CUDA device where training is on CUDA, and one on the CPU.",
  }),
  worldSize: option({
    flags: "--world-size <n>",
    kind: optional(integer(1, 2 ** 20)),
    default: null,
    defaultText: "the environment's, else 1",
    help: "How many processes train together, of which this is one; with the two flags above, how many machines.",
  }),
  rank: option({
    flags: "--rank <r>",
    kind: optional(integer(0, 2 ** 20 - 1)),
    default: null,
    defaultText: "the environment's",
    help: "This process's number among them, from 0; with the two flags above, this machine's.",
  }),
  url: option({
    flags: "--dist-url <url>",
    kind: optional(distUrl()),
    default: null,
    defaultText: "the environment's, else a free port here",
    help: "Where rank 0 listens: tcp://HOST:PORT, the same for all, or env:// for RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT as torchrun, Slurm or Kubernetes set them (without any flag they count, too; flags win).",
  }),
  backend: option({
    flags: "--dist-backend <gloo|nccl>",
    kind: optional(choice(["gloo", "nccl"])),
    default: null,
    defaultText: "gloo on the CPU, nccl on CUDA",
    help: "What the processes talk through; nccl trains on CUDA, process i of a machine on its device i. Gloo's network interface is GLOO_SOCKET_IFNAME.",
  }),
  timeout: option({
    flags: "--dist-timeout <seconds>",
    kind: seconds,
    default: 300,
    help: "How long a process waits for the others in the midst of training before it gives up.",
  }),
  startTimeout: option({
    flags: "--dist-start-timeout <seconds>",
    kind: optional(seconds),
    default: null,
    defaultText: "--dist-timeout",
    help: "How long it waits for them to come at the start.",
  }),
  maxRestarts: option({
    flags: "--max-restarts <k>",
    kind: integer(0, 1000),
    default: 0,
    help: "With --nproc-per-node on one machine: starts all processes again, from the run's last checkpoint, up to k times after one was lost.",
  }),
};

const run = {
  savedir: option({
    flags: "--savedir <folder>",
    kind: text("a folder"),
    default: "results",
    help: "Folder of all runs.",
  }),
  expName: option({
    flags: "--exp-name <name>",
    kind: text("a name"),
    default: "Peek-a-Boo",
    help: "This run's folder inside --savedir.",
  }),
  resume: option({
    flags: "-r, --resume [from]",
    kind: text("auto, never or a file"),
    default: "auto",
    bare: "auto",
    help: "auto continues the run whose checkpoint is in the run folder, or begins one where there is none; never begins anew and replaces it; a file is continued from.",
  }),
  checkpointEvery: option({
    flags: "--checkpoint-every <n|time>",
    kind: checkpointInterval(),
    default: { seconds: 300 },
    defaultText: "5m",
    help: "Saves within an epoch, too: every n steps, or after a time such as 90s, 5m or 1h; epoch saves only after each epoch.",
  }),
  keep: option({
    flags: "--keep <n>",
    kind: integer(1, 1000),
    default: 2,
    help: "Checkpoints in the run folder: the latest, and those before it, to which a run goes back when it is damaged.",
  }),
  evaluate: option({
    flags: "-e, --evaluate",
    kind: flag(),
    default: false,
    bare: true,
    help: "Only tests the network that --resume or --load-pretrained gives.",
  }),
  printFreq: option({
    flags: "-p, --print-freq <n>",
    kind: optional(integer(1)),
    default: null,
    defaultText: "not at all",
    help: "Prints a line every n steps.",
  }),
  device: option({
    flags: "--device <cpu|cuda:N>",
    kind: optional(device()),
    default: null,
    defaultText: "cpu",
    help: "Where to compute; fails when it isn't there.",
  }),
  useCuda: option({
    flags: "--use-cuda <id>",
    kind: optional(integer(0, 999)),
    default: null,
    defaultText: "not used",
    help: "Computes on this GPU if there is one, else on the CPU.",
  }),
  threads: option({
    flags: "--threads <n>",
    kind: optional(integer(1, 1024)),
    default: null,
    defaultText: "all cores",
    help: "CPU threads.",
  }),
  json: option({
    flags: "--json",
    kind: flag(),
    default: false,
    bare: true,
    help: "Prints the summary as one line of JSON, the last on stdout.",
  }),
};

/**
 * Every setting of a training run, nested as in `config.json`. The flags, the help, the validation and the type of the
 * configuration all come from this table.
 */
export const trainOptions = { ...network, ...data, ...training, sgd, bop, bop2, psg, pruning, distributed, ...run };

/** The settings of an evaluation, a checkpoint's own configuration telling the rest. */
export const evaluateOptions = {
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
  { flags: "--tsbdir <folder>", why: "the run's figures go to metrics.jsonl in the run folder" },
  { flags: "--bop-threshold-scale <s>", why: "the reference never uses it" },
  { flags: "--scaled-mag-quantile <q>", why: "the reference never uses it" },
];
