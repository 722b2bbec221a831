import { choice, flag, optional, text } from "../kinds.js";
import { option } from "../table.js";
import { data } from "./data.js";
import { ownArch } from "./network.js";
import { run } from "./run.js";

/** What to write for other programs, and where. */
export const exportOptions = {
  format: option({
    flags: "--format <name>",
    kind: choice(["pab", "onnx", "pth", "safetensors"]),
    default: "pth",
    help: "What to write: pab, the network as a seed, masks and signs, which `peekaboo predict` runs; onnx, dense, for other runtimes; pth, as torch.save does; or safetensors.",
  }),
  arch: ownArch,
  output: option({
    flags: "--output <file>",
    kind: optional(text("a file")),
    default: null,
    defaultText: "NAME.pab, NAME.onnx, NAME.effective.FORMAT or NAME.raw.FORMAT beside the checkpoint",
    help: "Where to write it.",
  }),
  raw: option({
    flags: "--raw",
    kind: flag(),
    default: false,
    bare: true,
    help: "Writes the weights as they are and the masks as mask.NAME, instead of their product.",
  }),
  force: option({
    flags: "--force",
    kind: flag(),
    default: false,
    bare: true,
    help: "Replaces the output file if it is there.",
  }),
  float32: option({
    flags: "--float32",
    kind: flag(),
    default: false,
    bare: true,
    help: "Stores a .pab file's numbers other than signs exactly, in 32 bits instead of 16.",
  }),
  seedOnly: option({
    flags: "--seed-only",
    kind: flag(),
    default: false,
    bare: true,
    help: "Refuses to write a .pab file of convolutions that don't follow from the seed, instead of storing their weights.",
  }),
  license: option({
    flags: "--license <text>",
    kind: optional(text("a licence, e.g. CC-BY-4.0")),
    default: null,
    defaultText: "none",
    help: "The licence that a .pab file tells.",
  }),
  data: option({
    ...data.data,
    help: "The test images, to compare the .pab file with the checkpoint on, where they aren't in the cache.",
  }),
  dataFolder: data.dataFolder,
  testLimit: data.testLimit,
  threads: run.threads,
};
