import { type Command, Option as CommanderOption } from "commander";
import { withImageFolder } from "../config/imagenet.js";
import { ignoredFlags, trainHelp, trainOptions } from "../config/options.js";
import { configFromFlags, notesOn } from "../config.js";
import { addFlags, givenFlags } from "./flags.js";
import type { Io } from "./io.js";
import { subcommand } from "./subcommand.js";

const EXAMPLES = `
Example, the paper's ResNet-18 at 30 % kept (add --width 0.25 --epochs 4 for a small machine):
  $ peekaboo train --arch PsgResNet18 --init-method kaiming_normal --optimizer BOP \\
      --pruner SynFlow --prune-ratio 3e-1 --prune-iters 100 --ar 1e-3 --tau 1e-6 \\
      --ar-decay-freq 45 --ar-decay-ratio 0.15 --epochs 180 --msb-bits 8 --msb-bits-weight 8 \\
      --msb-bits-grad 16 --psg-threshold 1e-7 --psg-no-take-sign --psg-sparsify \\
      --exp-name cifar10_resnet18_pab-psg
`;

/** Adds `peekaboo train`; `exit` gets the run's exit status. */
export function addTrain(program: Command, io: Io, exit: (status: number) => void): void {
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
    for (const { option, why } of ignored) {
      if (command.getOptionValue(option.attributeName()) !== undefined) note(io, `${option.long} is ignored: ${why}.`);
    }
    for (const text of notesOn(config, given)) note(io, text);
    const { runTrain } = await import("../training/run.js");
    exit(await runTrain(config, io));
  });
}

function note({ stderr }: Io, text: string): void {
  stderr.write(`Note: ${text}\n`);
}
