import { type RunOptions, type TestedRun, testRun, trainRun } from "../commands/train.js";
import type { TrainConfig } from "../config/config.js";
import { EXIT } from "../console/exit.js";
import { Interrupted, InterruptGuard } from "../console/interrupt.js";
import type { Io } from "../console/io.js";
import { TerminalReporter } from "../report/terminal-reporter.js";
import { inWords } from "./in-words.js";

/**
 * Trains, or with --evaluate tests, and tells it: progress on stderr, the result on stdout.
 *
 * @returns the exit status: 0, or 129, 130 and 143 after SIGHUP, SIGINT and SIGTERM with the state saved
 * @throws {UserError} for whatever the user can mend.
 */
export async function runTrain(
  config: TrainConfig,
  io: Io,
  options: Omit<RunOptions, "reporter" | "guard"> = {},
): Promise<number> {
  const { printFreq, pruning, evaluate, json } = config;
  const reporter = new TerminalReporter(io.stderr, { words: inWords, printFreq, verbose: pruning?.verbose === true });
  using guard = new InterruptGuard();
  const how = { ...options, reporter, guard };
  try {
    if (evaluate) {
      const tested = await testRun(config, how);
      if ((options.group?.rank ?? 0) === 0) io.stdout.write(`${json ? JSON.stringify(tested) : testInWords(tested)}\n`);
      return EXIT.ok;
    }
    const { report } = await trainRun(config, how);
    if (report !== null) {
      io.stdout.write(json ? `${JSON.stringify(report.summary)}\n` : `\n${report.lines.map(inWords).join("\n")}\n`);
    }
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    reporter.say(`Stopped by ${error.signal}: ${error.message}`);
    return error.exitStatus;
  }
}

function testInWords({ arch, dataset, images, accuracy, top5, loss }: TestedRun): string {
  return `${arch} on ${images} test images of ${dataset}: accuracy ${accuracy.toFixed(2)} %, top-5 ${top5.toFixed(2)} %, loss ${loss.toFixed(4)}`;
}
