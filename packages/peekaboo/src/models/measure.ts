import { nn, noGrad, scope, type Tensor, zeros } from "@peekaboo/torch";
import type { ImageShape } from "../data/batch.js";
import { maskedLayers } from "../layers/factory.js";
import { DEFAULT_CONVOLUTION, MaskedConv2d } from "../layers/masked-conv2d.js";
import { MaskedLayer } from "../layers/masked-layer.js";
import { Network, type NetworkOptions } from "./network.js";
import { ownReference } from "./own-reference.js";
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
      if (!(module instanceof MaskedLayer || module instanceof nn.Linear || module instanceof nn.Conv2d)) continue;
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

/** H'·W' of each convolution, by its weight's name: of the thinnest network there is, since channels don't change them. */
function outputPixels({ options, variant, imageShape, module }: Network): Map<string, number> {
  // What a user's own code makes may have channels of its own.
  if (options.architecture !== undefined || ownReference(options.arch) !== null)
    return watchedPixels(module, imageShape);
  const { architecture } = findNetwork(options.arch);
  const context = { variant, imageShape, numClasses: 1, dropout: 0, channels: () => 1 };
  const thin = architecture.build({ ...context, layers: maskedLayers(DEFAULT_CONVOLUTION) });
  try {
    return watchedPixels(thin, imageShape);
  } finally {
    thin.dispose();
  }
}

/** A convolution that is called twice counts twice. */
function watchedPixels(module: nn.Module, imageShape: ImageShape): Map<string, number> {
  const names = new Map([...module.namedModules()].map(([name, own]) => [own, `${name}.weight`]));
  const pixels = new Map<string, number>();
  const hear = (own: nn.Module, { shape: [, , height, width] }: Tensor) => {
    const name = names.get(own);
    const isConvolution = own instanceof MaskedConv2d || own instanceof nn.Conv2d;
    if (!isConvolution || name === undefined || height === undefined || width === undefined) return;
    pixels.set(name, (pixels.get(name) ?? 0) + height * width);
  };
  const image = () => zeros([1, ...imageShape], { dtype: "float32" });
  noGrad(() => scope(() => void nn.watchOutputs(() => module.eval().call(image()), hear)));
  return pixels;
}
