import { printable, quoted } from "@peekaboo/files/errors";
import type { Command } from "commander";
import type { Exported, ExportOptions } from "../commands/export-file.js";
import { exportOptions } from "../config/options.js";
import { valuesFromFlags } from "../config/table.js";
import { formatBytes, formatCount } from "../console/format.js";
import { InterruptGuard } from "../console/interrupt.js";
import type { Io } from "../console/io.js";
import { addFlags, givenFlags } from "./flags.js";
import { subcommand } from "./subcommand.js";

/** Adds `peekaboo export FILE`. */
export function addExport(program: Command, io: Io): void {
  const command = subcommand(program, "export <file>", "Write a checkpoint's network for PyTorch");
  addFlags(command, exportOptions);
  command.action(async (file: string) => {
    const chosen = valuesFromFlags(exportOptions, givenFlags(command, exportOptions));
    const { exportFile } = await import("../commands/export-file.js");
    using guard = new InterruptGuard();
    const exported = await exportFile(file, chosen, guard);
    const { nonfinite } = exported;
    if (nonfinite !== undefined)
      io.stderr.write(`Warning: ${nonfinite} holds NaN or infinity, and was written as it is.\n`);
    io.stdout.write(formatExport(exported, chosen));
  });
}

/** Linux takes no longer one. */
const LONGEST_PATH = 4096;

/** What was written, and the line of Python that reads it. */
function formatExport({ output, tensors, bytes, masked }: Exported, { format, raw }: ExportOptions): string {
  const content = raw ? " (weights and masks)" : " (pruned weights as zeros)";
  const what = masked.length === 0 ? "" : content;
  // Whole, or the line of Python would be none.
  const path = quoted(output, LONGEST_PATH);
  const [origin, load] =
    format === "pth"
      ? ["import torch", `torch.load(${path}, weights_only=True)`]
      : ["from safetensors.torch import load_file", `load_file(${path})`];
  const [first] = masked;
  const product = first === undefined ? "" : `; weight = state["mask.${first}"] * state["${first}"]`;
  const use = raw ? `state = ${load}${product}` : `model.load_state_dict(${load})`;
  return `Wrote ${printable(output)}: ${formatCount(tensors)} tensors${what}, ${formatBytes(bytes)}.\nIn Python: ${origin}; ${use}\n`;
}
