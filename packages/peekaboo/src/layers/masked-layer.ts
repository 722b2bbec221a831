import { nn, ops, type Tensor, zeros } from "@peekaboo/torch";

export interface MaskedLayerOptions {
  /** The weight's shape, [out, in, …]. */
  shape: readonly number[];
  bias: boolean;
  /** Whether pruners see the weight. */
  prunable: boolean;
}

/** Sees what goes into a layer and comes out of it, and returns what comes out in its place. */
export type Probe = (input: Tensor, output: Tensor) => Tensor;

/** A layer with the weight mask ⊙ weight; without a mask, the plain one. */
export abstract class MaskedLayer extends nn.Module {
  readonly prunable: boolean;
  /** Asked in each forward pass, where there is one. */
  probe: Probe | null = null;

  /** Weight and bias begin as zeros, for whoever fills them. */
  constructor({ shape, bias, prunable }: MaskedLayerOptions) {
    super();
    this.prunable = prunable;
    this.registerParameter("weight", zeros(shape, { dtype: "float32" }));
    if (bias) this.registerParameter("bias", zeros(shape.slice(0, 1), { dtype: "float32" }));
  }

  get weight(): Tensor {
    return this.own("weight");
  }

  get bias(): Tensor | null {
    return this.ownOrNull("bias");
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

  /** The layer's output as its probe has it. */
  protected probed(input: Tensor, output: Tensor): Tensor {
    return this.probe === null ? output : this.probe(input, output);
  }

  /** The weight before the mask, differentiable. */
  unmaskedWeight(): Tensor {
    return this.weight;
  }

  /** mask ⊙ weight, differentiable. */
  effectiveWeight(): Tensor {
    const { mask } = this;
    return mask === null ? this.unmaskedWeight() : ops.mul(this.unmaskedWeight(), mask);
  }
}
