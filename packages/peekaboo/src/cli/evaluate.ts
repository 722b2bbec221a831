import type { Command } from "commander";
import { evaluateOptions } from "../config/options.js";
import { valuesFromFlags } from "../config/table.js";
import { formatCount } from "../console/format.js";
import { InterruptGuard } from "../console/interrupt.js";
import type { Io } from "../console/io.js";
import { isPabFile } from "../pab/read-pab.js";
import { TerminalReporter } from "../report/terminal-reporter.js";
import { addFlags, givenFlags } from "./flags.js";
import { inWords } from "./in-words.js";
import { subcommand } from "./subcommand.js";

/** Adds `peekaboo evaluate FILE`. */
export function addEvaluate(program: Command, io: Io): void {
  const command = subcommand(
    program,
    "evaluate <file>",
    "Test a checkpoint or a .pab file on its data set's test images",
  );
  addFlags(command, evaluateOptions);
  command.action(async (file: string) => {
    const options = valuesFromFlags(evaluateOptions, givenFlags(command, evaluateOptions));
    using guard = new InterruptGuard();
    const reporter = new TerminalReporter(io.stderr, { words: inWords });
    const engine = options.engine ?? (isPabFile("evaluate", file) ? "runtime" : "torch");
    const result =
      engine === "runtime"
        ? await (await import("../commands/evaluate-pab.js")).evaluatePab(file, options, { reporter, guard })
        : await (await import("../commands/evaluate-file.js")).evaluateFile(file, options, { reporter, guard });
    const { arch, dataset, images, accuracy, loss } = result;
    const told = `${arch} on ${formatCount(images)} test images of ${dataset}: accuracy ${accuracy.toFixed(2)} %, loss ${loss.toFixed(4)}`;
    io.stdout.write(`${options.json ? JSON.stringify(result) : told}\n`);
  });
}
