import type { nn } from "@peekaboo/torch";
import type { LayerFactory } from "../layers/factory.js";

/** What a network is built from. */
export interface BuildContext {
  layers: LayerFactory;
  numClasses: number;
  /** Channels of a layer: the paper's number times the width factor, at least 1. */
  channels(paper: number): number;
}

/** One network of the paper, described once for all its variants. */
export interface Architecture {
  /** The plain variant's name, e.g. "ResNet18". */
  readonly name: string;
  build(context: BuildContext): nn.Module;
}
