// .pab files to damage, and ways to damage them so that their checksums are right again.
import { readFileSync } from "node:fs";
import { type Description, encodePab, initialiseWeight, type PabTensor, shuffledMask } from "@peekaboo/seed";
import { RangeDecoder, RangeEncoder } from "#seed/coding/range-coder";
import { codeText } from "#seed/coding/text-model";
import { packSections, SECTIONS, unpackSections } from "#seed/pab/container";
import { mutated, mutatedJson } from "./mutations.js";
import { oneOf, type Random } from "./random.js";

/** The demo's network, from the repository's root, where tests run. */
export const demo = readFileSync("models/cifar10-demo.pab");

const SEED = 5;

/** A description as it is written: JSON. */
export type Written = Record<string, unknown>;

/** A network with every operation, and every way to store and to mask. */
const small: Description = {
  network: "small",
  mean: [0.5, 0.4],
  std: [0.2, 0.3],
  crop: 0.875,
  classes: ["zero", "one", "\u{1f600}"],
  seed: SEED,
  init: "kaiming_normal",
  graph: {
    input: [2, 8, 8],
    nodes: [
      { op: "conv2d", inputs: [0], weight: "a", stride: [1, 1], padding: [1, 1], dilation: [1, 1], groups: 2 },
      { op: "affine", inputs: [1], scale: "scale", shift: "shift" },
      { op: "relu", inputs: [2] },
      { op: "max_pool2d", inputs: [3], kernel: [2, 2], stride: [2, 2], padding: [0, 1], dilation: [1, 3] },
      { op: "subsample", inputs: [3], stride: [2, 2], before: 0, after: 0 },
      { op: "add", inputs: [4, 5] },
      { op: "conv2d", inputs: [6], weight: "b", stride: [1, 2], padding: [0, 1], dilation: [2, 1], groups: 1 },
      { op: "avg_pool2d", inputs: [7], kernel: [2, 1], stride: [1, 1], padding: [1, 0] },
      { op: "reshape", inputs: [8], shape: [24, 1, 1] },
      { op: "linear", inputs: [9], weight: "c", bias: "bias" },
      { op: "gelu", inputs: [10], approximate: "tanh" },
      { op: "silu", inputs: [10] },
      { op: "concat", inputs: [11, 12] },
      { op: "group_norm", inputs: [13], scale: "gain", shift: "offset", groups: 2, eps: 0.001 },
      { op: "sigmoid", inputs: [14] },
      { op: "linear", inputs: [15], weight: "d" },
    ],
  },
  tensors: [
    { name: "a", shape: [4, 1, 3, 3], stored: "signs", mask: "model", init: "kaiming_normal" },
    { name: "scale", shape: [4], stored: "float16", mask: "all", init: "kaiming_normal" },
    { name: "shift", shape: [4], stored: "float32", mask: "all", init: "kaiming_normal" },
    { name: "b", shape: [4, 4, 2, 3], stored: "float16", mask: "shuffle", init: "kaiming_uniform" },
    { name: "c", shape: [3, 24], stored: "float32", mask: "model", init: "standard" },
    { name: "bias", shape: [3], stored: "float16", mask: "all", init: "kaiming_normal" },
    { name: "gain", shape: [6], stored: "float16", mask: "all", init: "kaiming_normal" },
    { name: "offset", shape: [6], stored: "float16", mask: "all", init: "kaiming_normal" },
    { name: "d", shape: [3, 6], stored: "float16", mask: "all", init: "standard" },
  ],
  test: { accuracy: 12.5, images: 8, loss: 2.25 },
  provenance: { version: "0.1.0", license: null, settings: { deep: [1, { x: "y" }] } },
};

function tensorOf({ name, shape, mask, stored, init }: Description["tensors"][number]): PabTensor {
  const size = shape.reduce((product, side) => product * side, 1);
  const initial = stored === "signs" ? initialiseWeight(init, SEED, name, shape) : undefined;
  const kept = {
    all: () => null,
    model: () => Uint8Array.from({ length: size }, (_, i) => (i % 3 === 0 ? 1 : 0)),
    shuffle: () => shuffledMask(SEED, name, shape, size >> 1),
    random: () => null,
  }[mask]();
  const data = Float32Array.from({ length: size }, (_, i) => {
    const value = initial === undefined ? (i - 3) / 8 : (i % 4 === 0 ? -1 : 1) * (initial[i] ?? 0);
    return kept === null || kept[i] === 1 ? value : 0;
  });
  return { shape, data, mask: kept };
}

/** The file of a network of 300 numbers with everything that the format has. */
export const smallFile = Buffer.from(
  encodePab(small, new Map(small.tensors.map((tensor) => [tensor.name, tensorOf(tensor)]))),
);

/** The JSON text of a file's description. */
export function descriptionText(file: Uint8Array): Buffer {
  const decoder = new RangeDecoder(unpackSections(file).description);
  return Buffer.from(codeText(decoder, new Uint8Array(), 1 << 20) ?? []);
}

/** A file with another text as its description, and right checksums. */
export function withDescriptionText(file: Uint8Array, text: Uint8Array): Buffer {
  const encoder = new RangeEncoder();
  codeText(encoder, text, text.length);
  return Buffer.from(packSections({ ...unpackSections(file), description: encoder.finish() }));
}

/** A file whose description is changed as a value. */
export function withDescription(file: Uint8Array, change: (description: Written) => unknown): Buffer {
  const changed = change(JSON.parse(descriptionText(file).toString()));
  return withDescriptionText(file, Buffer.from(JSON.stringify(changed) ?? "null"));
}

const files = [demo, smallFile, smallFile];

/** A file with one to three changes anywhere, or cut off. */
export function damagedPab(random: Random): Buffer {
  const file = oneOf(random, files);
  return random(4) === 0 ? file.subarray(0, random(file.length)) : mutated(file, oneOf(random, files), random);
}

/** A damaged file whose checksums are right: its sections were changed, or the text or the value of its description. */
export function repairedPab(random: Random): Buffer {
  const file = oneOf(random, files);
  const way = random(4);
  if (way === 0) {
    const text = descriptionText(file);
    return withDescriptionText(file, mutated(text, text, random));
  }
  if (way < 3) return withDescription(file, (value) => mutatedJson(value, random));
  const sections = unpackSections(file);
  const name = oneOf(random, SECTIONS);
  const section = Buffer.from(sections[name]);
  return Buffer.from(packSections({ ...sections, [name]: mutated(section, section, random) }));
}
