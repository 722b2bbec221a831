import { printable } from "@peekaboo/files/errors";
import type { Command } from "commander";
import { configFromFlags } from "../config/config.js";
import { withImageFolder } from "../config/imagenet.js";
import { text } from "../config/kinds.js";
import { trainHelp, trainOptions } from "../config/options.js";
import { option, valuesFromFlags } from "../config/table.js";
import { formatBytes } from "../console/format.js";
import { InterruptGuard } from "../console/interrupt.js";
import type { Io } from "../console/io.js";
import { TerminalReporter } from "../report/terminal-reporter.js";
import { addFlags, givenFlags } from "./flags.js";
import { inWords } from "./in-words.js";
import { subcommand } from "./subcommand.js";

const { Network, Data, Pruning } = trainHelp;
const { device, useCuda, threads, json } = trainOptions;
const run = { device, useCuda, threads, json: { ...json, help: "Prints the result as one line of JSON." } };
const own = {
  file: option({
    flags: "--pruned-save-name <file>",
    kind: text("a file"),
    default: "pruned.safetensors",
    help: "Where to write the pruned network.",
  }),
};

const EXAMPLES = `
Example, ImageNet in two stages:
  $ peekaboo prune --arch resnet50 --pruner SynFlow --prune-ratio 0.5 --prune-iters 100 --pruned-save-name pruned.safetensors DIR
  $ peekaboo train --arch psg_resnet50 --optimizer BOP --resume pruned.safetensors DIR
`;

/** Adds `peekaboo prune [FOLDER]`. */
export function addPrune(program: Command, io: Io): void {
  const command = subcommand(
    program,
    "prune [folder]",
    "Prune a random network and save it, to be trained by `train --resume`",
  );
  for (const [heading, table] of Object.entries({ Network, Data, Pruning, Run: { ...own, ...run } })) {
    addFlags(command, table, heading);
  }
  command.addHelpText("after", EXAMPLES);
  command.action(async (folder: string | undefined) => {
    const tables = { ...Network, ...Data, pruning: Pruning, device, useCuda, threads, json: run.json };
    const config = configFromFlags(withImageFolder(givenFlags(command, tables), folder));
    const { file } = valuesFromFlags(own, givenFlags(command, own));
    const { pruneToFile } = await import("../commands/prune-file.js");
    using guard = new InterruptGuard();
    const reporter = new TerminalReporter(io.stderr, { words: inWords, verbose: config.pruning?.verbose === true });
    const written = await pruneToFile(config, file, { reporter, guard });
    const path = printable(written.file);
    const told = `${path}: ${formatBytes(written.bytes)}; train it by \`peekaboo train --resume ${path} …\``;
    const wantsJson = givenFlags(command, run).has(run.json);
    io.stdout.write(`${wantsJson ? JSON.stringify(written) : told}\n`);
  });
}
