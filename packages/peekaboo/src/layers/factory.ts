import type { nn } from "@peekaboo/torch";
import type { LatentOptions } from "./latent-score.js";
import { type Convolution, MaskedConv2d, type MaskedConv2dOptions } from "./masked-conv2d.js";
import { MaskedLinear, type MaskedLinearOptions } from "./masked-linear.js";
import { PsgConv2d, type PsgOptions } from "./psg-conv2d.js";

/** What a model builds its layers with: a variant of a network is another factory, never another model. */
export interface LayerFactory {
  conv2d(options: MaskedConv2dOptions): nn.Module;
  linear(options: MaskedLinearOptions): nn.Module;
}

const linear = (options: MaskedLinearOptions) => new MaskedLinear(options);

/** Plain masked layers. */
export function maskedLayers(conv: Convolution): LayerFactory {
  return { conv2d: (options) => new MaskedConv2d({ ...options, conv }), linear };
}

/** What makes a variant's layers differ from plain ones. */
export interface VariantOptions {
  readonly psg: PsgOptions | null;
  readonly latent: LatentOptions | null;
  readonly conv: Convolution;
}

/** Masked layers, every convolution prunable, that learn a latent score, predict their weight gradient, or both. */
export function variantLayers({ psg, latent, conv }: VariantOptions): LayerFactory {
  return {
    conv2d: (options) => {
      const own = { ...options, prunable: true, latent, conv };
      return psg === null ? new MaskedConv2d(own) : new PsgConv2d(own, psg);
    },
    linear,
  };
}
