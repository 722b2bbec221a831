import { choice, flag, optional, text } from "../kinds.js";
import { option } from "../table.js";

/** What to write for other programs, and where. */
export const exportOptions = {
  format: option({
    flags: "--format <name>",
    kind: choice(["pth", "safetensors"]),
    default: "pth",
    help: "What to write: pth, as torch.save does, or safetensors.",
  }),
  output: option({
    flags: "--output <file>",
    kind: optional(text("a file")),
    default: null,
    defaultText: "NAME.effective.FORMAT or NAME.raw.FORMAT beside the checkpoint",
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
};
