import { numel } from "@peekaboo/files/safetensors";
import type { Command } from "commander";
import { integer, optional } from "../config/kinds.js";
import { trainOptions } from "../config/options.js";
import { option, type Values, valuesFromFlags } from "../config/table.js";
import { formatCount, formatPercent, formatShortCount } from "../console/format.js";
import type { Io } from "../console/io.js";
import { createProgress } from "../console/progress.js";
import { aligned } from "../console/table.js";
import type { LayerSize, NetworkSize } from "../models/measure.js";
import { addFlags, givenFlags } from "./flags.js";
import { loadOwn, subcommand } from "./subcommand.js";

const options = {
  width: trainOptions.width,
  classes: option({
    flags: "--classes <n>",
    kind: optional(integer(1, 1_000_000)),
    default: null,
    defaultText: "10, or 1000 for ImageNet's",
    help: "Number of classes.",
  }),
  imageSize: option({
    flags: "--image-size <pixels>",
    kind: optional(integer(1, 4096)),
    default: null,
    defaultText: "32, or 224 for ImageNet's",
    help: "Height and width of an image.",
  }),
  json: { ...trainOptions.json, help: "Prints the result as JSON." },
};

/** What `peekaboo models` tells of a network. */
interface ModelRow extends NetworkSize {
  name: string;
  variants: string[];
}

/** Adds `peekaboo models [NAME]`. */
export function addModels(program: Command, io: Io): void {
  const command = subcommand(program, "models [name]", "List the networks, or the layers of one");
  addFlags(command, options);
  command.action(async (name: string | undefined) => {
    const given = valuesFromFlags(options, givenFlags(command, options));
    await loadOwn(name);
    const rows = await measured(name, given, io);
    if (given.json) io.stdout.write(`${JSON.stringify(name === undefined ? rows.map(withoutLayers) : rows[0])}\n`);
    else io.stdout.write(`${(name === undefined ? overview(rows) : rows.flatMap(details)).join("\n")}\n`);
  });
}

async function measured(name: string | undefined, given: Values<typeof options>, io: Io): Promise<ModelRow[]> {
  const { architectures, findNetwork } = await import("../models/registry.js");
  const { measureNetwork } = await import("../models/measure.js");
  const { PLAIN_GRADIENT } = await import("../layers/psg-conv2d.js");
  const names = name === undefined ? architectures.map((architecture) => architecture.name) : [name];
  const bar = names.length > 1 ? createProgress({ total: names.length, title: "models", stream: io.stderr }) : null;
  const rows = names.map((arch, i) => {
    bar?.update(i);
    const { architecture, variant } = findNetwork(arch);
    const { imageShape: usual, variants } = architecture;
    const { classes, imageSize, width } = given;
    const [channels, height] = usual;
    const size = measureNetwork({
      arch,
      width,
      numClasses: classes ?? architecture.numClasses,
      imageShape: [channels, imageSize ?? height, imageSize ?? height],
      psg: PLAIN_GRADIENT,
      ...(variant === "seed" ? { hiddenAct: "pruning" } : {}),
    });
    return { name: arch, variants: Object.values(variants).map((prefix) => `${prefix}${architecture.name}`), ...size };
  });
  bar?.stop();
  return rows;
}

function withoutLayers({ layers, ...row }: ModelRow): Omit<ModelRow, "layers"> {
  return row;
}

function overview(rows: readonly ModelRow[]): string[] {
  const titles = ["name", "image", "classes", "parameters", "MACs", "prunable", "share", "variants"];
  const table = aligned([titles, ...rows.map(overviewRow)], "llrrrrrl");
  return [
    ...table,
    "",
    "MACs: multiply-accumulates for one image. Variants: Psg (psg_) predicts gradients, Seed learns latent scores.",
    "`peekaboo models NAME` lists the layers of one.",
  ];
}

function overviewRow({ name, imageShape, numClasses, parameters, macs, prunable, variants }: ModelRow): string[] {
  const [, height, width] = imageShape;
  const others = variants.filter((variant) => variant !== name).map((variant) => variant.slice(0, -name.length));
  return [
    name,
    `${height}×${width}`,
    formatCount(numClasses),
    formatCount(parameters),
    formatShortCount(macs),
    formatCount(prunable),
    `${formatPercent(prunable / parameters)} %`,
    others.join(" "),
  ];
}

function details({ name, imageShape, numClasses, layers, parameters, macs, prunable }: ModelRow): string[] {
  const row = ({ name: weight, shape, prunable: prunes, macs: own }: LayerSize) => [
    weight,
    shape.join("×"),
    formatCount(numel(shape)),
    formatShortCount(own),
    prunes ? "yes" : "no",
  ];
  const share = formatPercent(prunable / parameters);
  return [
    `${name}: ${imageShape.join("×")} images, ${formatCount(numClasses)} classes; ${formatCount(parameters)} parameters, ` +
      `${formatCount(prunable)} of them prunable (${share} %); ${formatShortCount(macs)} multiply-accumulates an image`,
    "",
    ...aligned([["layer", "shape", "weights", "MACs", "prunable"], ...layers.map(row)], "llrrl"),
  ];
}
