// The layers of the two networks beside ours: libtorch's convolution, and the original's five products.
import { keep, nn, noGrad, ops, scope, type Tensor } from "@peekaboo/torch";
import type { LayerFactory } from "#peekaboo/layers/factory";
import { MaskedConv2d, type MaskedConv2dOptions } from "#peekaboo/layers/masked-conv2d";
import { MaskedLinear } from "#peekaboo/layers/masked-linear";
import { THE_PAPERS } from "#peekaboo/layers/psg-conv2d";
import type { Variant } from "#peekaboo/models/architecture";
import { buildNetwork } from "#peekaboo/models/build";
import type { Network } from "#peekaboo/models/network";
import { findNetwork } from "#peekaboo/models/registry";
import { pabOps } from "#peekaboo/native/library";
import type { Workload } from "./workloads.js";

/** aten's convolution, whatever ours is made of. */
class StockConv2d extends MaskedConv2d {
  override forward(input: Tensor): Tensor {
    const { stride, padding, dilation, groups } = this.options;
    return ops.conv2d(input, this.effectiveWeight(), this.bias, stride, padding, dilation, groups);
  }
}

/**
 * The convolution of docs/algorithm.md §4 as the original computes it, of libtorch's operators: `psg_conv2d_reference` has the
 * output, the input's gradient, and the weight's from quantised tensors and in full precision, each quantiser an operator
 * an operation. Before it comes the convolution of quantised input and weight, whose value nobody uses. The original quantises the
 * input once and keeps it until the backward pass; here that one is made by our fused operator, so as not to count the element-wise
 * one twice, and kept as long.
 */
class ComposedConv2d extends MaskedConv2d {
  readonly #kept: Tensor[];

  constructor(options: MaskedConv2dOptions, kept: Tensor[]) {
    super(options);
    this.#kept = kept;
  }

  override forward(input: Tensor): Tensor {
    const { stride, padding, dilation, groups, inputSigned } = this.options;
    const { msbBits, msbBitsGrad } = THE_PAPERS;
    const mask = this.mask ?? ops.onesLike(this.weight.detach(), { dtype: "uint8" });
    const { quantize, quantizeReference, psgConv2dReference } = pabOps();
    noGrad(() =>
      scope(() => {
        const rounded = keep(quantize(input, "activation", { bits: msbBits, signed: inputSigned }));
        this.#kept.push(rounded);
        const weight = quantizeReference(this.weight.mul(mask), "weight", { bits: msbBits, signed: true });
        ops.conv2d(rounded, weight, null, stride, padding, dilation, groups);
      }),
    );
    const shape = { stride, padding, dilation, groups, inputSigned, msbBits, msbBitsGrad };
    // All but the largest predicted gradient are below this threshold: the full-precision one is computed.
    const select = { threshold: 1, relative: true, sparsify: false, takeSign: false };
    return psgConv2dReference(input, this.weight, mask, this.bias, { ...shape, ...select });
  }
}

/** A workload's network of other convolutions, and of libtorch's BatchNorm. */
function networkOf({ arch, width, numClasses, imageShape }: Workload, variant: Variant, conv: LayerFactory["conv2d"]) {
  const { architecture } = findNetwork(arch);
  const layers: LayerFactory = { conv2d: conv, linear: (options) => new MaskedLinear(options) };
  const own = {
    ...architecture,
    build: (context: Parameters<typeof architecture.build>[0]) => architecture.build({ ...context, layers }),
  };
  const network = buildNetwork(own, { variant, width, numClasses, imageShape });
  for (const [, module] of network.module.namedModules()) if (module instanceof nn.BatchNorm2d) module.kernel = null;
  return network;
}

/** The plain network, whose every operator is libtorch's. */
export function stockNetwork(workload: Workload): Network {
  return networkOf(workload, "plain", (options) => new StockConv2d(options));
}

/** The PSG network in the original's way; `kept` holds what a step's backward pass needs, for whoever ends the step to free. */
export function composedNetwork(workload: Workload): { network: Network; kept: Tensor[] } {
  const kept: Tensor[] = [];
  return {
    network: networkOf(workload, "psg", (options) => new ComposedConv2d({ ...options, prunable: true }, kept)),
    kept,
  };
}
