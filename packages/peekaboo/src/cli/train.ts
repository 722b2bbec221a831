import { type Command, Option as CommanderOption } from "commander";
import { configFromFlags, notesOn } from "../config/config.js";
import { withImageFolder } from "../config/imagenet.js";
import { ignoredFlags, trainHelp, trainOptions } from "../config/options.js";
import type { Io } from "../console/io.js";
import { addFlags, givenFlags } from "./flags.js";
import { inWords } from "./in-words.js";
import { subcommand } from "./subcommand.js";

const EXAMPLES = `
Example, the paper's ResNet-18 at 30 % kept (add --width 0.25 --epochs 4 for a small machine):
  $ peekaboo train --arch PsgResNet18 --init-method kaiming_normal --optimizer BOP \\
      --pruner SynFlow --prune-ratio 3e-1 --prune-iters 100 --ar 1e-3 --tau 1e-6 \\
      --ar-decay-freq 45 --ar-decay-ratio 0.15 --epochs 180 --msb-bits 8 --msb-bits-weight 8 \\
      --msb-bits-grad 16 --psg-threshold 1e-7 --psg-no-take-sign --psg-sparsify \\
      --exp-name cifar10_resnet18_pab-psg

Several processes: on one machine add --nproc-per-node 4. On two machines of four processes each, as with PyTorch's
ImageNet example, where machine 0 has the address 10.0.0.1 (--rank 1 on the other):
  $ peekaboo train ... --multiprocessing-distributed --nproc-per-node 4 --world-size 2 --rank 0 \\
      --dist-url tcp://10.0.0.1:29500
Under torchrun, srun or Kubernetes none of these flags is needed.
`;

/** Adds `peekaboo train`, which may start processes with the same command line `argv()`; `exit` gets the exit status. */
export function addTrain(
  program: Command,
  argv: () => readonly string[],
  io: Io,
  exit: (status: number) => void,
): void {
  const command = subcommand(program, "train [folder]", "Prune a random network, then learn the signs of what is left");
  for (const [heading, table] of Object.entries(trainHelp)) addFlags(command, table, heading);
  const ignored = ignoredFlags.map(({ flags, why }) => {
    const option = new CommanderOption(flags, `Ignored: ${why}.`).helpGroup(
      "Accepted from the original's command lines:",
    );
    command.addOption(option);
    return { option, why };
  });
  command.addHelpText("after", EXAMPLES);

  command.action(async (folder: string | undefined) => {
    const given = withImageFolder(givenFlags(command, trainOptions), folder);
    const config = configFromFlags(given);
    const notes = ignored
      .filter(({ option }) => command.getOptionValue(option.attributeName()) !== undefined)
      .map(({ option, why }) => `${option.long} is ignored: ${why}.`);
    notes.push(...notesOn(config, given));
    const { launch } = await import("../launch/start.js");
    const status = await launch(config, argv(), io, async (own, ownIo, group, processes) => {
      for (const text of notes) note(ownIo, text);
      const { runTrain } = await import("./run-train.js");
      return runTrain(own, ownIo, { group, argv: argv(), processes });
    });
    exit(status);
  });
}

function note({ stderr }: Io, text: string): void {
  stderr.write(`Note: ${inWords(text)}\n`);
}
