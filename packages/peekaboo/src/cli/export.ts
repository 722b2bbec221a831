import { printable, quoted, UserError } from "@peekaboo/files/errors";
import type { Command } from "commander";
import type { Exported, ExportOptions } from "../commands/export-file.js";
import type { ExportedOnnx, ExportOnnxOptions } from "../commands/export-onnx.js";
import type { ExportedPab, ExportPabOptions } from "../commands/export-pab.js";
import { exportOptions } from "../config/options.js";
import { valuesFromFlags } from "../config/table.js";
import { formatBytes, formatCount } from "../console/format.js";
import { InterruptGuard } from "../console/interrupt.js";
import type { Io } from "../console/io.js";
import { partsInWords } from "../report/summary.js";
import { TerminalReporter } from "../report/terminal-reporter.js";
import { setting } from "../setting.js";
import { addFlags, givenFlags } from "./flags.js";
import { inWords } from "./in-words.js";
import { subcommand } from "./subcommand.js";

/** Adds `peekaboo export FILE`. */
export function addExport(program: Command, io: Io): void {
  const command = subcommand(program, "export <file>", "Write a network as a .pab file, in ONNX, or for PyTorch");
  addFlags(command, exportOptions);
  command.action(async (file: string) => {
    const chosen = valuesFromFlags(exportOptions, givenFlags(command, exportOptions));
    const { format, ...options } = chosen;
    if (chosen.raw && (format === "pab" || format === "onnx")) throw rawOf(format);
    using guard = new InterruptGuard();
    if (format === "pab") await writePab(file, options, guard, io);
    else if (format === "onnx") await writeOnnx(file, options, guard, io);
    else await writeState(file, { ...options, format }, guard, io);
  });
}

function rawOf(format: string): UserError {
  return new UserError({
    operation: "export",
    argument: setting("raw"),
    expected: "a format of weights and masks, pth or safetensors",
    received: format,
    remedy: `leave out ${setting("raw")}`,
  });
}

async function writeState(file: string, chosen: ExportOptions, guard: InterruptGuard, io: Io): Promise<void> {
  const { exportFile } = await import("../commands/export-file.js");
  const exported = await exportFile(file, chosen, guard);
  warnOfNonfinite(exported, io);
  io.stdout.write(formatExport(exported, chosen));
}

async function writeOnnx(file: string, options: ExportOnnxOptions, guard: InterruptGuard, io: Io): Promise<void> {
  const { exportOnnx } = await import("../commands/export-onnx.js");
  const exported = await exportOnnx(file, options, guard);
  warnOfNonfinite(exported, io);
  io.stdout.write(formatOnnx(exported));
}

function warnOfNonfinite({ nonfinite }: { nonfinite?: string }, io: Io): void {
  if (nonfinite === undefined) return;
  io.stderr.write(`Warning: ${nonfinite} holds NaN or infinity, and was written as it is.\n`);
}

async function writePab(file: string, options: ExportPabOptions, guard: InterruptGuard, io: Io): Promise<void> {
  const { exportPab } = await import("../commands/export-pab.js");
  const reporter = new TerminalReporter(io.stderr, { words: inWords });
  const exported = await exportPab(file, options, { reporter, guard });
  io.stdout.write(formatPab(exported));
}

/** What was written, of what it consists, and what rounding cost. */
function formatPab({ output, bytes, sizes, stored, tests }: ExportedPab): string {
  const lines = [`Wrote ${printable(output)}: ${formatBytes(bytes)} = ${partsInWords(sizes)}.`];
  if (stored.length > 0)
    lines.push(
      `${formatCount(stored.length)} convolutions don't follow from the seed, first ${printable(stored[0] ?? "")}: their weights are stored.`,
    );
  if (tests === null) lines.push("The test images aren't on this machine: the file wasn't tested.");
  else {
    const { checkpoint, file } = tests;
    const told = (value: number) => `${value.toFixed(2)} %`;
    lines.push(
      `On ${formatCount(file.images)} test images: accuracy ${told(file.accuracy)}, the checkpoint's ${told(checkpoint.accuracy)}; loss ${file.loss.toFixed(4)}, ${checkpoint.loss.toFixed(4)}.`,
    );
  }
  return `${lines.join("\n")}\n`;
}

/** What was written, its input and output, and the line of Python that runs it. */
function formatOnnx({ output, bytes, input, logits }: ExportedOnnx): string {
  const told = ({ name, sizes }: ExportedOnnx["input"]) => `${name} [${sizes.join(", ")}]`;
  const run = `onnxruntime.InferenceSession(${quoted(output, LONGEST_PATH)}).run(None, {"${input.name}": images})`;
  return `Wrote ${printable(output)}: ${formatBytes(bytes)}; ${told(input)}, normalised, to ${told(logits)}.\nIn Python: import onnxruntime; ${run}\n`;
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
