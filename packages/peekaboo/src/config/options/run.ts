import { CONVOLUTIONS, DEFAULT_CONVOLUTION } from "../../layers/masked-conv2d.js";
import { checkpointInterval } from "../checkpoint-interval.js";
import { choice, choices, device, flag, folderName, integer, optional, text } from "../kinds.js";
import { option } from "../table.js";

/** Where a run is kept, what it tells, and what it computes on. */
export const run = {
  savedir: option({
    flags: "--savedir <folder>",
    kind: text("a folder"),
    default: "results",
    help: "Folder of all runs.",
  }),
  expName: option({
    flags: "--exp-name <name>",
    kind: folderName(),
    default: "Peek-a-Boo",
    help: "This run's folder inside --savedir: one name, no path.",
  }),
  sharePruning: option({
    flags: "--share-pruning <folder>",
    kind: optional(text("a folder")),
    default: null,
    defaultText: "the run prunes for itself",
    help: "Folder in which runs leave each other the masks of the pruning before the first step: one that would come to the same masks takes them from there. `peekaboo sweep` gives its runs one.",
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
  log: option({
    flags: "--log <format,...>",
    kind: choices(["tensorboard", "csv"]),
    default: [],
    defaultText: "none",
    help: "Keeps the figures of metrics.jsonl in the run's folder in other formats, too: tensorboard (event files), csv (steps.csv and epochs.csv), or both, with a comma between or by a flag each.",
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
    defaultText: "OMP_NUM_THREADS, else the processors that it may use, or its container's CPU quota",
    help: "CPU threads; a run says how many it takes, and why.",
  }),
  conv: option({
    flags: "--conv <exact|fast>",
    kind: choice(CONVOLUTIONS),
    default: DEFAULT_CONVOLUTION,
    help: "How the CPU convolves 3 × 3 with stride 1, forward and for the input's gradient: fast multiplies a quarter as often (Winograd's algorithm), and rounds otherwise than exact, which adds up products.",
  }),
  json: option({
    flags: "--json",
    kind: flag(),
    default: false,
    bare: true,
    help: "Prints the summary as one line of JSON, the last on stdout.",
  }),
};
