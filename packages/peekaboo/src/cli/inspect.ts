import { printable } from "@peekaboo/files/errors";
import { measurePab } from "@peekaboo/seed";
import type { Command } from "commander";
import type { InspectReport } from "../checkpoint/inspect.js";
import { isPabFile, readPab } from "../checkpoint/pab-file.js";
import type { PruningConfig } from "../config/config.js";
import { ownArch, trainOptions } from "../config/options.js";
import { formatBytes, formatCount, formatPercent } from "../console/format.js";
import type { Io } from "../console/io.js";
import { aligned } from "../console/table.js";
import { minKeptInWords } from "../pruning/min-kept.js";
import { thinLayersInWords } from "../runs/thin-layers.js";
import { addFlags, givenFlags } from "./flags.js";
import { inWords } from "./in-words.js";
import { formatPabReport, pabForPrograms } from "./inspect-pab.js";
import { subcommand } from "./subcommand.js";

const options = {
  arch: ownArch,
  json: { ...trainOptions.json, help: "Prints the report as one line of JSON." },
};

/** Adds `peekaboo inspect FILE`. */
export function addInspect(program: Command, io: Io): void {
  const command = subcommand(program, "inspect <file>", "Show what a checkpoint or a .pab file holds");
  addFlags(command, options);
  command.action(async (file: string) => {
    const json = givenFlags(command, options).has(options.json);
    if (isPabFile("inspect", file)) {
      const measure = readPab("inspect", file, measurePab);
      io.stdout.write(json ? `${JSON.stringify(pabForPrograms(file, measure))}\n` : formatPabReport(file, measure));
      return;
    }
    const { inspectFile } = await import("../checkpoint/inspect.js");
    const report = inspectFile(file);
    io.stdout.write(json ? `${JSON.stringify(report)}\n` : formatReport(report));
  });
}

/** The report as a person reads it: facts, a table of the layers, and how small the network really is. */
export function formatReport(report: InspectReport): string {
  const lines = [...facts(report), "", ...layerTable(report), "", ...thinLayers(report), ...sizes(report)];
  return `${lines.join("\n")}\n`;
}

function facts({ file, bytes, config, progress, nonfinite }: InspectReport): string[] {
  const { arch, width, initMethod, seed, dataset, optimizer, pruning } = config;
  const told = (value: number | null) => (value === null ? "?" : formatCount(value));
  const best = progress.bestAccuracy === null ? "not tested" : `best accuracy ${progress.bestAccuracy.toFixed(2)} %`;
  return [
    `checkpoint  ${printable(file)}, ${formatBytes(bytes)}`,
    `network     ${arch}, width ${width}, ${initMethod} from seed ${seed}`,
    `training    ${dataset}, ${optimizer}, in epoch ${told(progress.epoch === null ? null : progress.epoch + 1)}, step ${told(progress.step)}, ${best}`,
    `pruning     ${pruning === null ? "none" : describePruning(pruning)}`,
    ...(nonfinite.length === 0 ? [] : [`NaN or ∞    in ${listed(nonfinite)}`]),
  ];
}

function listed(names: readonly string[]): string {
  const more = names.length > 3 ? ` and ${names.length - 3} more` : "";
  return `${names.slice(0, 3).join(", ")}${more}`;
}

function describePruning({ pruner, density, minKept, maskShuffle }: PruningConfig): string {
  const least = minKept === null ? "" : `, at least ${minKeptInWords(minKept)} of each layer`;
  return `${pruner} at density ${density}${least}${maskShuffle ? ", masks shuffled" : ""}`;
}

function layerTable({ layers, kept, total, flips }: InspectReport): string[] {
  const row = (name: string, shape: string, k: number, n: number, f: number | null) => [
    name,
    shape,
    formatCount(k),
    formatCount(n),
    n === 0 ? "-" : `${formatPercent(k / n)} %`,
    f === null ? "-" : formatCount(f),
  ];
  return aligned(
    [
      ["layer", "shape", "kept", "of", "density", "flips"],
      ...layers.map((layer) => row(printable(layer.name), layer.shape.join("×"), layer.kept, layer.total, layer.flips)),
      row("together", "", kept, total, flips),
    ],
    "llrrrr",
  );
}

/** Latent scores, not a pruner, thin the layers of a network that isn't pruned. */
function thinLayers({ layers, config: { pruning } }: InspectReport): string[] {
  const words = pruning === null ? null : thinLayersInWords(layers, pruning.minKept);
  return words === null ? [] : [`thin        ${inWords(words)}`];
}

function sizes({ parameters, denseBytes, idealSize }: InspectReport): string[] {
  const { seed, masks, signs, floats, total } = idealSize;
  const parts = [
    [seed, "seed"],
    [masks, "masks"],
    [signs, "signs"],
    [floats, "other numbers"],
  ] as const;
  const listed = parts.filter(([bytes]) => bytes > 0).map(([bytes, what]) => `${what} ${formatBytes(bytes)}`);
  return [
    `parameters  ${formatCount(parameters)}, ${formatBytes(denseBytes)} as float32`,
    `by entropy  ${formatBytes(total)}: ${listed.join(" + ")}; ${(denseBytes / total).toFixed(1)} times smaller`,
  ];
}
