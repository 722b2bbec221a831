import { ops, type Tensor } from "@peekaboo/torch";
import { MaskedLayer } from "./masked-layer.js";

export interface MaskedLinearOptions {
  inFeatures: number;
  outFeatures: number;
  bias?: boolean;
}

/** y = x·(mask ⊙ W)ᵀ + b: [N, inFeatures] → [N, outFeatures]; prunable, and trained by SGD. */
export class MaskedLinear extends MaskedLayer {
  constructor({ inFeatures, outFeatures, bias = true }: MaskedLinearOptions) {
    super({ shape: [outFeatures, inFeatures], bias, prunable: true });
  }

  override forward(input: Tensor): Tensor {
    return this.probed(input, ops.linear(input, this.effectiveWeight(), this.bias));
  }
}
