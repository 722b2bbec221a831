import { printable } from "@peekaboo/files/errors";
import type { PabMeasure, TensorBits } from "@peekaboo/seed";
import { formatBytes, formatCount, formatPercent } from "../console/format.js";
import { aligned } from "../console/table.js";
import { partsInWords } from "../report/summary.js";

/** What a .pab file holds, as one object. */
export function pabForPrograms(file: string, { description, sizes, tensors, denseBytes, maskEntropy }: PabMeasure) {
  const { network, seed, init, graph, classes, test, provenance } = description;
  const bytes = Object.values(sizes).reduce((sum, size) => sum + size, 0);
  const layers = tensors.filter(isMasked);
  return {
    file,
    bytes,
    sizes,
    network,
    seed,
    init,
    input: graph.input,
    classes,
    test,
    provenance,
    layers,
    denseBytes,
    maskEntropy,
  };
}

/** The same as a person reads it: facts, a table of the layers with the bits that their masks and signs take, and the sizes. */
export function formatPabReport(file: string, measure: PabMeasure): string {
  const { description, sizes, tensors, denseBytes, maskEntropy } = measure;
  const { network, seed, init, graph, classes, test, provenance } = description;
  const bytes = Object.values(sizes).reduce((sum, size) => sum + size, 0);
  const layers = tensors.filter(isMasked);
  const sum = (of: (tensor: TensorBits) => number) => layers.reduce((total, tensor) => total + of(tensor), 0);
  const [kept, total] = [sum((layer) => layer.kept), sum((layer) => layer.total)];
  const [maskBits, signBits] = [8 * sizes.masks, 8 * sizes.signs];
  const signed = tensors.filter(({ stored }) => stored === "signs").reduce((count, tensor) => count + tensor.kept, 0);
  const { dataset, version, license } = provenance;
  const told = (value: unknown) => (typeof value === "string" ? printable(value) : "not told");
  const tested =
    test === null ? "not tested" : `${test.accuracy.toFixed(2)} % on ${formatCount(test.images)} test images`;
  const lines = [
    `network     ${printable(network)}, ${printable(init)} from seed ${seed}; images of ${graph.input.join("×")}, ${formatCount(classes.length)} classes`,
    `accuracy    ${tested}`,
    `data        ${told(dataset)}; written by peekaboo ${told(version)}; licence ${told(license)}`,
    `file        ${printable(file)}, ${formatBytes(bytes)} = ${partsInWords(sizes)}`,
    "",
    ...layerTable(layers),
    "",
    `kept        ${formatCount(kept)} of ${formatCount(total)} weights (${formatPercent(kept / total)} %)`,
    `masks       ${bits(maskBits, total)} a weight; ${bits(maskEntropy, total)} at each layer's entropy, without a model`,
    `signs       ${bits(signBits, signed)} a kept weight; 1 without a model`,
    `in all      ${(denseBytes / bytes).toFixed(1)} times smaller than ${formatBytes(denseBytes)} as float32`,
  ];
  return `${lines.join("\n")}\n`;
}

function isMasked({ shape, stored, kept, total }: TensorBits): boolean {
  return stored === "signs" || shape.length > 2 || kept < total;
}

function layerTable(layers: readonly TensorBits[]): string[] {
  const row = ({ name, shape, stored, kept, total, mask, signs }: TensorBits) => [
    printable(name),
    shape.join("×"),
    formatCount(kept),
    formatCount(total),
    `${formatPercent(kept / total)} %`,
    (mask / total).toFixed(3),
    stored === "signs" && kept > 0 ? (signs / kept).toFixed(3) : "-",
  ];
  const titles = ["layer", "shape", "kept", "of", "density", "mask bits/weight", "sign bits/kept"];
  return aligned([titles, ...layers.map(row)], "llrrrrr");
}

function bits(count: number, of: number): string {
  return of === 0 ? "0" : (count / of).toFixed(3);
}
