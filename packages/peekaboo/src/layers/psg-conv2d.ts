import { ops, type Tensor } from "@peekaboo/torch";
import { pabOps } from "../native/library.js";
import { MaskedConv2d, type MaskedConv2dOptions } from "./masked-conv2d.js";

/** The predictive sign gradient's settings (docs/algorithm.md §4), as the configuration has them. */
export interface PsgOptions {
  /** False uses the plain weight gradient. */
  readonly backward: boolean;
  readonly msbBits: number;
  readonly msbBitsGrad: number;
  readonly threshold: { readonly mode: "relative" | "absolute"; readonly value: number };
  readonly sparsify: boolean;
  readonly takeSign: boolean;
}

/** As the paper trains CIFAR's networks: 8 and 16 bits, a relative threshold, no signs taken. */
export const THE_PAPERS: PsgOptions = {
  backward: true,
  msbBits: 8,
  msbBitsGrad: 16,
  threshold: { mode: "relative", value: 1e-7 },
  sparsify: true,
  takeSign: false,
};

/** The plain gradient: for whoever only runs a PSG network forwards. */
export const PLAIN_GRADIENT: PsgOptions = {
  backward: false,
  msbBits: 32,
  msbBitsGrad: 32,
  threshold: { mode: "absolute", value: 0 },
  sparsify: false,
  takeSign: false,
};

/** A masked convolution whose weight gradient is predicted from quantised tensors (E2-Train, Wang et al. 2019, §3.3). */
export class PsgConv2d extends MaskedConv2d {
  readonly psg: PsgOptions;

  constructor(options: MaskedConv2dOptions, psg: PsgOptions) {
    super(options);
    this.psg = psg;
  }

  #maskOrOnes(): Tensor {
    const known = this.mask ?? this.ownOrNull("ones");
    if (known !== null) return known;
    const ones = ops.onesLike(this.weight.detach(), { dtype: "uint8" });
    this.registerBuffer("ones", ones, { persistent: false });
    return ones;
  }

  override forward(input: Tensor): Tensor {
    const { stride, padding, dilation, groups, inputSigned, conv } = this.options;
    const { msbBits, msbBitsGrad, threshold, sparsify, takeSign, backward } = this.psg;
    return pabOps().psgConv2d(input, this.unmaskedWeight(), this.#maskOrOnes(), this.bias, {
      stride,
      padding,
      dilation,
      groups,
      inputSigned,
      msbBits,
      msbBitsGrad,
      threshold: threshold.value,
      relative: threshold.mode === "relative",
      sparsify,
      takeSign,
      predictive: backward,
      fast: conv === "fast",
    });
  }
}
