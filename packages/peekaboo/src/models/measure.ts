import { nn, noGrad, scope, type Tensor, UserError, zeros } from "@peekaboo/torch";
import type { ImageShape } from "../data/batch.js";
import { type LayerFactory, maskedLayers } from "../layers/factory.js";
import { MaskedConv2d } from "../layers/masked-conv2d.js";
import { MaskedLayer } from "../layers/masked-layer.js";

import { Network, type NetworkOptions } from "./network.js";
import { findNetwork } from "./registry.js";

/** One convolution or Linear. */
export interface LayerSize {
  /** The state name of its weight. */
  name: string;
  shape: readonly number[];
  prunable: boolean;
  /** Multiply-accumulates for one image. */
  macs: number;
}

export interface NetworkSize {
  imageShape: ImageShape;
  numClasses: number;
  layers: LayerSize[];
  /** Learnable numbers; a Seed network's fixed weights are among them. */
  parameters: number;
  /** Multiply-accumulates of the convolutions and Linears for one image. */
  macs: number;
  /** Prunable weights. */
  prunable: number;
}

/** Counts a network's parameters, multiply-accumulates and prunable weights. @throws {UserError} as Network does. */
export function measureNetwork(options: NetworkOptions): NetworkSize {
  const network = new Network(options);
  try {
    const pixels = outputPixels(network);
    const layers: LayerSize[] = [];
    for (const [path, module] of network.module.namedModules()) {
      if (!(module instanceof MaskedLayer || module instanceof nn.Linear)) continue;
      const name = `${path}.weight`;
      const { shape, numel } = module.weight;
      const prunable = module instanceof MaskedLayer && module.prunable;
      layers.push({ name, shape, prunable, macs: numel * (pixels.get(name) ?? 1) });
    }
    const sum = (values: Iterable<number>) => [...values].reduce((total, value) => total + value, 0);
    return {
      imageShape: network.imageShape,
      numClasses: options.numClasses,
      layers,
      parameters: sum([...network.module.namedParameters()].map(([, { numel }]) => numel)),
      macs: sum(layers.map(({ macs }) => macs)),
      prunable: sum([...network.prunable().values()].map(({ weight }) => weight.numel)),
    };
  } finally {
    network.dispose();
  }
}

/** A convolution that remembers how many pixels it put out. */
class WatchedConv2d extends MaskedConv2d {
  pixels = 0;

  override forward(input: Tensor): Tensor {
    const out = super.forward(input);
    const [, , height = 1, width = 1] = out.shape;
    this.pixels = height * width;
    return out;
  }
}

/** H'·W' of each convolution, by its weight's name: of the thinnest network there is, since channels don't change them. */
function outputPixels(network: Network): Map<string, number> {
  const { imageShape } = network;
  const thin = thinnest(network).eval();
  try {
    noGrad(() => scope(() => void thin.call(zeros([1, ...imageShape], { dtype: "float32" }))));
    const pixels = new Map<string, number>();
    for (const [path, module] of thin.namedModules()) {
      if (module instanceof WatchedConv2d) pixels.set(`${path}.weight`, module.pixels);
    }
    return pixels;
  } finally {
    thin.dispose();
  }
}

/** One channel a layer; all of them where that's too few for their groups. */
function thinnest({ options, variant, imageShape }: Network): nn.Module {
  const layers: LayerFactory = { ...maskedLayers, conv2d: (shape) => new WatchedConv2d(shape) };
  const { architecture = findNetwork(options.arch).architecture } = options;
  const build = (channels: (paper: number) => number) =>
    architecture.build({ variant, imageShape, numClasses: 1, dropout: 0, layers, channels });
  try {
    return build(() => 1);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return build((paper) => paper);
  }
}
