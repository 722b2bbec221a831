import { printable } from "@peekaboo/files/errors";
import type { Command } from "commander";
import { boardOptions } from "../config/options.js";
import { valuesFromFlags } from "../config/table.js";
import { InterruptGuard } from "../console/interrupt.js";
import type { Io } from "../console/io.js";
import { addFlags, givenFlags } from "./flags.js";
import { subcommand } from "./subcommand.js";

const LOCAL: ReadonlySet<string> = new Set(["127.0.0.1", "localhost", "::1"]);

const EXAMPLE = `
Example, beside a training that runs:
  $ peekaboo board results --port 8080
`;

/** Adds `peekaboo board [FOLDER]`, which runs until it is interrupted. */
export function addBoard(program: Command, io: Io): void {
  const description = "Follow the runs below a folder (default: results) in a browser, while they run and after";
  const command = subcommand(program, "board [folder]", description).addHelpText("after", EXAMPLE);
  addFlags(command, boardOptions);
  command.action(async (folder = "results") => {
    const settings = valuesFromFlags(boardOptions, givenFlags(command, boardOptions));
    const { openBoard } = await import("../commands/board.js");
    using guard = new InterruptGuard();
    using board = await openBoard(folder, settings);
    io.stdout.write(`Board of ${printable(folder)}: ${board.address}\nCtrl-C ends it.\n`);
    if (!LOCAL.has(settings.host))
      io.stderr.write("Warning: whoever reaches this machine and knows the address can read the runs.\n");
    await new Promise((resolve) => guard.signal.addEventListener("abort", resolve, { once: true }));
    await guard.check();
  });
}
