import type { Command } from "commander";
import { evaluateOptions } from "../config/options.js";
import { valuesFromFlags } from "../config/table.js";
import { formatCount } from "../console/format.js";
import { InterruptGuard } from "../console/interrupt.js";
import type { Io } from "../console/io.js";
import { TerminalReporter } from "../report/terminal-reporter.js";
import { addFlags, givenFlags } from "./flags.js";
import { inWords } from "./in-words.js";
import { subcommand } from "./subcommand.js";

/** Adds `peekaboo evaluate FILE`. */
export function addEvaluate(program: Command, io: Io): void {
  const command = subcommand(program, "evaluate <file>", "Test a checkpoint on its data set's test images");
  addFlags(command, evaluateOptions);
  command.action(async (file: string) => {
    const options = valuesFromFlags(evaluateOptions, givenFlags(command, evaluateOptions));
    const { evaluateFile } = await import("../commands/evaluate-file.js");
    using guard = new InterruptGuard();
    const result = await evaluateFile(file, options, {
      reporter: new TerminalReporter(io.stderr, { words: inWords }),
      guard,
    });
    const { arch, dataset, images, accuracy, loss } = result;
    const told = `${arch} on ${formatCount(images)} test images of ${dataset}: accuracy ${accuracy.toFixed(2)} %, loss ${loss.toFixed(4)}`;
    io.stdout.write(`${options.json ? JSON.stringify(result) : told}\n`);
  });
}
