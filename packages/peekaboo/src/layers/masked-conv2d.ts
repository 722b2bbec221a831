import { nn, ops, type Tensor } from "@peekaboo/torch";
import { pabOps } from "../native/library.js";

export interface MaskedConv2dOptions extends nn.Conv2dOptions {
  /** Whether the input can be negative: the first convolution's, and those that no ReLU precedes. */
  inputSigned?: boolean;
}

/** A convolution with the weight mask ⊙ weight; without a mask, the plain one. Bop owns its parameters. */
export class MaskedConv2d extends nn.Conv2d {
  readonly inputSigned: boolean;

  constructor({ inputSigned = false, ...options }: MaskedConv2dOptions) {
    super({ initialise: false, ...options });
    this.inputSigned = inputSigned;
  }

  /** uint8, the weight's shape, 1 where a weight is kept; null while nothing is pruned. */
  get mask(): Tensor | null {
    return this.ownOrNull("mask");
  }

  /** Takes the mask over. */
  setMask(mask: Tensor): void {
    this.mask?.dispose();
    this.registerBuffer("mask", mask, { persistent: false });
  }

  /** mask ⊙ weight, differentiable. */
  effectiveWeight(): Tensor {
    const { mask } = this;
    return mask === null ? this.weight : ops.mul(this.weight, mask);
  }

  override forward(input: Tensor): Tensor {
    const { stride, padding, dilation, groups } = this.options;
    // ATen's own in float32; in float64, where pruning runs, many times faster than it.
    return pabOps().conv2d(input, this.effectiveWeight(), this.bias, stride, padding, dilation, groups);
  }
}
