import type { nn } from "@peekaboo/torch";
import type { ImageShape } from "../data/batch.js";
import type { LayerFactory } from "../layers/factory.js";

/** How the network of one description learns: as it is, by predicted gradients, by latent scores, or by both. */
export type Variant = "plain" | "psg" | "seed" | "psg-seed";

/** What a network is built from. */
export interface BuildContext {
  /** Which network is meant; its plain twin has other layers and the same structure. */
  variant: Variant;
  layers: LayerFactory;
  numClasses: number;
  imageShape: ImageShape;
  /** Probability of a dropped value, where the architecture drops any. */
  dropout: number;
  /** Channels of a layer: the paper's number times the width factor, at least 1. */
  channels(paper: number): number;
}

/** One network of the paper, described once for all its variants. */
export interface Architecture {
  /** The plain variant's name, e.g. "ResNet18". */
  readonly name: string;
  /** The prefix of each variant's name. */
  readonly variants: Readonly<Partial<Record<Variant, string>>>;
  /** The images that it was made for, and how many classes of them. */
  readonly imageShape: ImageShape;
  readonly numClasses: number;
  /** Whether it has dropout. */
  readonly drops?: boolean;
  build(context: BuildContext): nn.Module;
}

/** What the networks for CIFAR have in common. */
export const forCifar = {
  variants: { plain: "", psg: "Psg", seed: "Seed", "psg-seed": "PsgSeed" },
  imageShape: [3, 32, 32],
  numClasses: 10,
} as const satisfies Partial<Architecture>;

/** What the networks for ImageNet have in common. */
export const forImageNet = {
  variants: { plain: "", psg: "psg_" },
  imageShape: [3, 224, 224],
  numClasses: 1000,
} as const satisfies Partial<Architecture>;
