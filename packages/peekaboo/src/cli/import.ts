import { statSync } from "node:fs";
import { printable } from "@peekaboo/files/errors";
import type { Command } from "commander";
import { exportOptions } from "../config/options.js";
import { valuesFromFlags } from "../config/table.js";
import { formatBytes } from "../console/format.js";
import type { Io } from "../console/io.js";
import { addFlags, givenFlags } from "./flags.js";
import { subcommand } from "./subcommand.js";

const options = {
  arch: exportOptions.arch,
  output: { ...exportOptions.output, defaultText: "NAME.imported.safetensors beside the file" },
  force: exportOptions.force,
};

/** Adds `peekaboo import FILE`. */
export function addImport(program: Command, io: Io): void {
  const command = subcommand(
    program,
    "import <file>",
    "Make a checkpoint of a .pab file, to evaluate, export or train it on",
  );
  addFlags(command, options);
  command.action(async (file: string) => {
    const chosen = valuesFromFlags(options, givenFlags(command, options));
    const { importFile } = await import("../commands/import-file.js");
    const output = await importFile(file, chosen);
    io.stdout.write(
      `Wrote ${printable(output)}: ${formatBytes(statSync(output).size)}, a checkpoint of the network.\n`,
    );
  });
}
