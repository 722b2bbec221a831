import { printable } from "@peekaboo/files/errors";
import type { Command } from "commander";
import type { Comparison, Difference } from "../commands/compare-runs.js";
import type { Reproduction } from "../commands/reproduce.js";
import { optional, text } from "../config/kinds.js";
import { ownArch, trainOptions } from "../config/options.js";
import { option, valuesFromFlags } from "../config/table.js";
import { EXIT } from "../console/exit.js";
import { formatCount } from "../console/format.js";
import type { Io } from "../console/io.js";
import { addFlags, givenFlags } from "./flags.js";
import { subcommand } from "./subcommand.js";

const options = {
  arch: ownArch,
  savedir: option({
    flags: "--savedir <folder>",
    kind: optional(text("a folder")),
    default: null,
    defaultText: "beside the run",
    help: "Folder that gets the repeated run, as NAME-reproduced.",
  }),
  json: { ...trainOptions.json, help: "Prints the comparison as one line of JSON." },
};

const NOTES = `
The run needs its config.json, metrics.jsonl and checkpoint.safetensors, and must have come to its end; files that it was
given (--data of an image folder, --load-pretrained, --resume) must be where they were. Exit status 0 means identical in every
bit but for times, 1 different.

Example:
  $ peekaboo reproduce results/demo
`;

/** Adds `peekaboo reproduce RUN`, which may start processes with the same command line `argv()`; `exit` gets the exit status. */
export function addReproduce(
  program: Command,
  argv: () => readonly string[],
  io: Io,
  exit: (status: number) => void,
): void {
  const command = subcommand(program, "reproduce <run>", "Run a finished run again and compare the two, bit for bit");
  addFlags(command, options);
  command.addHelpText("after", NOTES);
  command.action(async (run: string) => {
    const { savedir, json } = valuesFromFlags(options, givenFlags(command, options));
    const { reproduce } = await import("../commands/reproduce.js");
    const { runTrain } = await import("./run-train.js");
    const note = (sentence: string) => void io.stderr.write(`Note: ${sentence}\n`);
    const { status, reproduction } = await reproduce(run, { savedir }, argv(), { io, note, train: runTrain });
    exit(reproduction === null || reproduction.identical ? status : EXIT.different);
    if (reproduction === null) return;
    io.stdout.write(json ? `${JSON.stringify(reproduction)}\n` : formatReproduction(reproduction));
  });
}

/** The most characters for all that the environments differ in. */
const LONGEST = 1000;

/** The comparison as a person reads it, the verdict last. */
function formatReproduction(reproduction: Reproduction): string {
  const { identical } = reproduction;
  const [run, reproduced] = [printable(reproduction.run), printable(reproduction.reproduced)];
  const verdict = identical ? `Identical: ${reproduced} repeats ${run}.` : `Different: ${reproduced} and ${run}.`;
  return `${[...inWords(reproduction), verdict].join("\n")}\n`;
}

function inWords({ environment, metrics, checkpoint }: Comparison): string[] {
  const others = environment.map((difference) => `${printable(difference.name)} ${valuesInWords(difference)}`);
  return [
    `environment  ${others.length === 0 ? "the same" : printable(others.join("; "), LONGEST)}`,
    `metrics      ${metricsInWords(metrics)}`,
    `checkpoint   ${tensorsInWords(checkpoint)}`,
  ];
}

function valuesInWords({ original, reproduced }: Difference): string {
  return `${printable(reproduced)} instead of ${printable(original)}`;
}

function metricsInWords({ lines, first }: Comparison["metrics"]): string {
  if (first === null) return `${formatCount(lines)} lines, the same but for times`;
  const { line, kind, epoch, step, name } = first;
  const place = step === null ? `epoch ${epoch}` : `step ${step} (epoch ${epoch})`;
  const what = name === "" ? kind : `${printable(name)} of the ${kind}`;
  return `different from line ${line} on, ${place}: ${what} is ${valuesInWords(first)}`;
}

function tensorsInWords({ tensors, differing, first }: Comparison["checkpoint"]): string {
  if (first === null) return `${formatCount(tensors)} tensors, the same in every bit`;
  const { name, index } = first;
  const place = index === null ? printable(name) : `${printable(name)}[${index}]`;
  return `${formatCount(differing)} of ${formatCount(tensors)} tensors differ: ${place} is ${valuesInWords(first)}`;
}
