import type { InitMethod } from "@peekaboo/seed";
import type { ImageShape } from "../data/batch.js";
import { type PsgOptions, THE_PAPERS } from "../layers/psg-conv2d.js";
import { type Architecture, forCifar, type Variant } from "./architecture.js";
import { Network, type NetworkOptions } from "./network.js";

/** A network's description as {@link defineArchitecture} takes it. */
export interface ArchitectureDefinition extends Pick<Architecture, "name" | "build" | "drops"> {
  /** [C, H, W] of the images it is made for; default: CIFAR's [3, 32, 32]. */
  imageShape?: ImageShape;
  /** Default: 10. */
  numClasses?: number;
  /** The prefix of each variant's name; default: "" for plain, Psg, Seed and PsgSeed. */
  variants?: Architecture["variants"];
}

/**
 * A network of one's own, described once for all its variants: `build` makes it of the layers that it is handed.
 *
 * With `layers.conv2d` come masks, predicted gradients and latent scores; channels go through `channels()`, for `width`.
 */
export function defineArchitecture(definition: ArchitectureDefinition): Architecture {
  return { ...forCifar, ...definition };
}

/** How {@link buildNetwork} builds a network. */
export interface BuildOptions extends Partial<Omit<NetworkOptions, "arch" | "architecture" | "psg">> {
  /** How a description's network learns; default: "psg", by predicted sign gradients. A name says it by its prefix. */
  variant?: Variant;
  /** What the predicted gradient is made with; default: the paper's settings. */
  psg?: Partial<PsgOptions>;
  /** How convolutions are initialised; default: "kaiming_normal". */
  init?: InitMethod;
  /** What all random weights follow from, each by its state name; default: 0. */
  seed?: number;
  /** Where its tensors lie, e.g. "cuda:0"; default: "cpu". */
  device?: string;
}

/**
 * A randomly initialised network of the project's by its name ("PsgResNet18"), or of one's own by its description.
 *
 * The caller disposes of it.
 *
 * @throws {UserError} for an unknown name, or a variant that the description doesn't have.
 */
export function buildNetwork(architecture: Architecture | string, options: BuildOptions = {}): Network {
  const { variant = "psg", psg, init = "kaiming_normal", seed = 0, device = "cpu", ...rest } = options;
  const numClasses = typeof architecture === "string" ? 10 : architecture.numClasses;
  const which =
    typeof architecture === "string"
      ? { arch: architecture }
      : { arch: `${architecture.variants[variant] ?? variant}${architecture.name}`, architecture };
  const network = new Network({ numClasses, ...rest, ...which, psg: { ...THE_PAPERS, ...psg } });
  network.initialise(init, seed);
  network.module.to({ device });
  return network;
}
