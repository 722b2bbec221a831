import { INIT_METHODS } from "@peekaboo/seed";
import { HIDDEN_ACTS } from "../../layers/latent-score.js";
import { choice, flag, integer, number, optional, text } from "../kinds.js";
import { option } from "../table.js";
import { listed } from "./listed.js";

/** The network, its weights and where they come from. */
export const network = {
  arch: option({
    flags: "--arch <name|file>",
    kind: text("an architecture"),
    default: "ResNet18",
    help: "Network; `peekaboo models` lists them. Prefix Psg (psg_) predicts gradients, Seed learns latent scores. Or a JavaScript file of your own that builds one, e.g. ./my-network.mjs, which predicts gradients (plain:FILE, seed:FILE, psg-seed:FILE otherwise): see docs/extending.md.",
  }),
  width: option({
    flags: "--width <factor>",
    kind: number({ above: 0, atMost: 16 }),
    default: 1,
    help: "Multiplies every layer's channels; 0.25 gives 16 where the paper has 64.",
  }),
  initMethod: option({
    flags: "--init-method <method>",
    kind: choice(INIT_METHODS),
    default: "standard",
    help: `Distribution of the random convolution weights: ${listed(INIT_METHODS)}; standard is PyTorch's default.`,
  }),
  seed: option({
    flags: "--seed <n>",
    kind: integer(0),
    default: 0,
    help: "Every random draw (weights, order, augmentation) follows from this number.",
  }),
  hiddenAct: option({
    flags: "--hidden-act <name>",
    kind: optional(choice(HIDDEN_ACTS)),
    default: null,
    defaultText: "none given",
    help: `What a Seed network's latent scores do to its fixed weights: ${listed(HIDDEN_ACTS)} (whose largest scores keep --prune-ratio of each layer).`,
  }),
  hiddenDensity: option({
    flags: "--hidden-density <d>",
    kind: optional(number({ above: 0, below: 1 })),
    default: null,
    defaultText: "--prune-ratio",
    help: "Fraction of each layer's weights that edge-popup keeps.",
  }),
  scalingInput: option({
    flags: "--scaling-input",
    kind: flag(),
    default: false,
    bare: true,
    help: "Gives a Seed network a learnable scale per input channel.",
  }),
  dropout: option({
    flags: "--dropout <p>",
    kind: number({ atLeast: 0, below: 1 }),
    default: 0,
    help: "Probability that WideResNet drops a value between a block's convolutions in training.",
  }),
  loadPretrained: option({
    flags: "--load-pretrained <file>",
    kind: optional(text("a file")),
    default: null,
    defaultText: "random weights",
    help: "Starts from the state in this file: safetensors, or .pth as torch.save writes it; names and shapes must match.",
  }),
};

/** The user's own file that describes a checkpoint's network, for commands that read checkpoints. */
export const ownArch = option({
  flags: "--arch <file>",
  kind: optional(text("a file")),
  default: null,
  defaultText: "none",
  help: "JavaScript file that builds the network, for a checkpoint of a network of your own.",
});
