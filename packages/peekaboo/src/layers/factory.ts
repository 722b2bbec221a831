import type { nn } from "@peekaboo/torch";
import type { LatentOptions } from "./latent-score.js";
import { MaskedConv2d, type MaskedConv2dOptions } from "./masked-conv2d.js";
import { MaskedLinear, type MaskedLinearOptions } from "./masked-linear.js";
import { PsgConv2d, type PsgOptions } from "./psg-conv2d.js";

/** What a model builds its layers with: a variant of a network is another factory, never another model. */
export interface LayerFactory {
  conv2d(options: MaskedConv2dOptions): nn.Module;
  linear(options: MaskedLinearOptions): nn.Module;
}

const linear = (options: MaskedLinearOptions) => new MaskedLinear(options);

/** Plain masked layers. */
export const maskedLayers: LayerFactory = { conv2d: (options) => new MaskedConv2d(options), linear };

/** Masked layers, every convolution prunable, that learn a latent score, predict their weight gradient, or both. */
export function variantLayers(psg: PsgOptions | null, latent: LatentOptions | null): LayerFactory {
  return {
    conv2d: (options) => {
      const own = { ...options, prunable: true, latent };
      return psg === null ? new MaskedConv2d(own) : new PsgConv2d(own, psg);
    },
    linear,
  };
}
