import { printable } from "@peekaboo/files/errors";
import type { Guess } from "@peekaboo/runtime";
import type { Command } from "commander";
import type { PredictedImage } from "../commands/predict.js";
import { trainOptions } from "../config/options.js";
import { formatPercent } from "../console/format.js";
import type { Io } from "../console/io.js";
import { addFlags, givenFlags } from "./flags.js";
import { subcommand } from "./subcommand.js";
import { reportFailure } from "./usage.js";

const options = { json: { ...trainOptions.json, help: "Prints a line of JSON for each image." } };
const BEST = 5;
const BAR = 24;

const DESCRIPTION = "Tell what a .pab file's network sees in images: files, folders of them, or - for standard input";

/** Adds `peekaboo predict FILE IMAGE…`; an image that can't be read doesn't keep it from the others. */
export function addPredict(program: Command, io: Io, exit: (status: number) => void): void {
  const command = subcommand(program, "predict <file> <images...>", DESCRIPTION);
  addFlags(command, options);
  command.action(async (file: string, images: string[]) => {
    const json = givenFlags(command, options).has(options.json);
    const { imagesIn, loadPredictor, predictFile } = await import("../commands/predict.js");
    const network = await loadPredictor("predict", file);
    const told = async (action: () => Promise<void>) =>
      action().catch((error: unknown) => exit(reportFailure(error, io, "predict")));
    for (const path of images) {
      await told(async () => {
        for (const image of imagesIn(path)) {
          await told(async () => {
            const predicted = await predictFile(network, image, BEST);
            io.stdout.write(json ? `${JSON.stringify(forPrograms(predicted))}\n` : formatPrediction(predicted));
          });
        }
      });
    }
  });
}

function forPrograms({ image, prediction, milliseconds }: PredictedImage) {
  const { label, index, probability, best } = prediction;
  return { image, label, index, probability, best, milliseconds };
}

/** The likeliest classes of an image, with a bar each. */
function formatPrediction({ image, prediction, milliseconds }: PredictedImage): string {
  const width = Math.max(...prediction.best.map(({ label }) => printable(label).length));
  const row = ({ label, probability }: Guess) =>
    `  ${printable(label).padEnd(width)}  ${`${formatPercent(probability)} %`.padStart(7)}  ${bar(probability)}`.trimEnd();
  return `${printable(image)}  (${milliseconds.toFixed(1)} ms)\n${prediction.best.map(row).join("\n")}\n`;
}

/** Eighths of a character, so that small probabilities show. */
function bar(fraction: number): string {
  const eighths = Math.round(fraction * BAR * 8);
  const rest = eighths % 8;
  return "█".repeat(Math.floor(eighths / 8)) + (rest === 0 ? "" : String.fromCodePoint(0x2590 - rest));
}
