import { MaskedConv2d, type MaskedConv2dOptions } from "./masked-conv2d.js";
import { PsgConv2d, type PsgOptions } from "./psg-conv2d.js";

/** What a model builds its layers with: a variant of a network is another factory, never another model. */
export interface LayerFactory {
  conv2d(options: MaskedConv2dOptions): MaskedConv2d;
}

/** Plain masked layers. */
export const maskedLayers: LayerFactory = { conv2d: (options) => new MaskedConv2d(options) };

/** Masked layers whose weight gradients are predicted. */
export function psgLayers(psg: PsgOptions): LayerFactory {
  return { conv2d: (options) => new PsgConv2d(options, psg) };
}
