import { Command } from "commander";
import { EXIT } from "../console/exit.js";
import type { Io } from "../console/io.js";
import { withStandardStreams } from "../console/streams.js";
import { version } from "../version.js";
import { writtenOut } from "./abbreviations.js";
import { addBoard } from "./board.js";
import { addData } from "./data.js";
import { addEvaluate } from "./evaluate.js";
import { addExport } from "./export.js";
import { addImport } from "./import.js";
import { addInspect } from "./inspect.js";
import { addModels } from "./models.js";
import { addPredict } from "./predict.js";
import { addPrune } from "./prune.js";
import { addReport } from "./report.js";
import { addReproduce } from "./reproduce.js";
import { strict } from "./subcommand.js";
import { addSweep } from "./sweep.js";
import { addTrain } from "./train.js";
import { reportFailure } from "./usage.js";

const EXAMPLE = `
Example, a few minutes on two cores (npm run demo runs it):
  $ peekaboo train --arch PsgResNet18 --width 0.25 --init-method kaiming_normal --pruner SynFlow \\
      --prune-ratio 0.3 --min-kept 1% --prune-iters 100 --optimizer BOP --ar 5e-3 --ar-schedule linear \\
      --ar-final 1e-5 --tau 1e-5 --lr-schedule linear --bs 64 --epochs 4 --msb-bits 8 \\
      --msb-bits-weight 8 --msb-bits-grad 16 --psg-threshold 1e-7 --psg-no-take-sign --psg-sparsify
  $ peekaboo inspect results/Peek-a-Boo/best.safetensors
  $ peekaboo predict results/Peek-a-Boo/best.pab photo.jpg

\`peekaboo COMMAND --help\` explains a command's flags. Of a long flag, as much will do as no other begins with.

Exit status: 0 done; 1 a fault of peekaboo, a lost process, of reproduce a difference or, of sweep, a run that failed; 2 a
mistake in what was given, or a result that nothing could take; 129, 130 and 143 ended by SIGHUP, SIGINT and SIGTERM, with everything saved.
`;

/**
 * Runs the command line `argv` (without node and script) and returns its exit status: 0, 1 after a bug of ours or the loss
 * of a process, 2 after the user's mistake, 128 + n after signal n. It loads libtorch only when the command needs it.
 *
 * @param io default: the process's own streams, which may fail as they like
 */
export async function main(argv: readonly string[], io?: Io): Promise<number> {
  return io === undefined ? withStandardStreams((own) => run(argv, own)) : run(argv, io);
}

async function run(argv: readonly string[], io: Io): Promise<number> {
  let status: number = EXIT.ok;
  let words: readonly string[] = [];
  const program = createProgram(
    () => words,
    io,
    (value) => {
      status = value;
    },
  );
  try {
    words = writtenOut(program, argv.length === 0 ? ["--help"] : argv);
    await program.parseAsync(words, { from: "user" });
    return status;
  } catch (error) {
    return reportFailure(
      error,
      io,
      words.find((word) => !word.startsWith("-")),
    );
  }
}

function createProgram(argv: () => readonly string[], io: Io, exit: (status: number) => void): Command {
  const program = strict(new Command("peekaboo"))
    .description("Peek-a-Boo: prune a random CNN, learn only the signs of what is left.")
    .version(version(), "-V, --version", "Print the version.")
    .helpOption("-h, --help", "Print this help.")
    .helpCommand("help [command]", "Print a command's help")
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      outputError: () => {},
    })
    .addHelpText("after", EXAMPLE);
  addTrain(program, argv, io, exit);
  addPrune(program, io);
  addSweep(program, io, exit);
  addReport(program, io);
  addReproduce(program, argv, io, exit);
  addPredict(program, io, exit);
  addEvaluate(program, io);
  addInspect(program, io);
  addExport(program, io);
  addImport(program, io);
  addBoard(program, io);
  addModels(program, io);
  addData(program, io);
  return program;
}
