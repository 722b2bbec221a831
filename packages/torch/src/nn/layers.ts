import { UserError } from "@peekaboo/files/errors";
import * as ops from "../generated/ops.js";
import { ones, type Tensor, zeros } from "../tensor.js";
import { inTurn } from "./in-turn.js";
import { linearDefault_ } from "./init.js";
import { Module } from "./module.js";

/** A size along both of an image's axes, or [height, width]. */
export type Size2d = number | readonly [height: number, width: number];

export interface Conv2dOptions {
  inChannels: number;
  outChannels: number;
  kernelSize: Size2d;
  stride?: Size2d;
  padding?: Size2d;
  dilation?: Size2d;
  groups?: number;
  bias?: boolean;
  /** False leaves zeros, for whoever fills the weights from elsewhere. */
  initialise?: boolean;
}

/** A layer that another may compute in place of: whoever holds it calls it as before. */
abstract class Replaceable extends Module {
  /** What computes in its place; null for the layer itself. */
  standIn: Module | null = null;

  override forward(input: Tensor): Tensor {
    return this.standIn === null ? this.compute(input) : this.standIn.call(input);
  }

  protected abstract compute(input: Tensor): Tensor;
}

/**
 * The shape [outChannels, inChannels / groups, height, width] of a convolution's weight.
 * @throws {UserError} when `groups` does not divide both numbers of channels.
 */
export function conv2dShape({
  inChannels,
  outChannels,
  kernelSize,
  groups = 1,
}: Pick<Conv2dOptions, "inChannels" | "outChannels" | "kernelSize" | "groups">): number[] {
  if (inChannels % groups !== 0 || outChannels % groups !== 0) {
    throw new UserError({
      operation: "Conv2d",
      argument: "groups",
      expected: `a divisor of ${inChannels} and ${outChannels} channels`,
      received: String(groups),
    });
  }
  const kernel = typeof kernelSize === "number" ? [kernelSize, kernelSize] : kernelSize;
  return [outChannels, inChannels / groups, ...kernel];
}

/**
 * A 2-D convolution: [N, inChannels, H, W] → [N, outChannels, H', W']; PyTorch's default initialisation.
 * @throws {UserError} when `groups` does not divide both numbers of channels.
 */
export class Conv2d extends Replaceable {
  readonly options: Required<Conv2dOptions>;

  constructor(options: Conv2dOptions) {
    super();
    this.options = { stride: 1, padding: 0, dilation: 1, groups: 1, bias: true, initialise: true, ...options };
    const { outChannels, bias, initialise } = this.options;
    const weight = zeros(conv2dShape(this.options), { dtype: "float32" });
    this.registerParameter("weight", weight);
    if (bias) this.registerParameter("bias", zeros([outChannels], { dtype: "float32" }));
    if (initialise) linearDefault_(weight, this.bias);
  }

  get weight(): Tensor {
    return this.own("weight");
  }

  get bias(): Tensor | null {
    return this.ownOrNull("bias");
  }

  protected override compute(input: Tensor): Tensor {
    const { stride, padding, dilation, groups } = this.options;
    return ops.conv2d(input, this.weight, this.bias, stride, padding, dilation, groups);
  }
}

/** y = x·Wᵀ + b: [N, inFeatures] → [N, outFeatures]; PyTorch's default initialisation. */
export class Linear extends Replaceable {
  constructor(inFeatures: number, outFeatures: number, { bias = true, initialise = true } = {}) {
    super();
    this.registerParameter("weight", zeros([outFeatures, inFeatures], { dtype: "float32" }));
    if (bias) this.registerParameter("bias", zeros([outFeatures], { dtype: "float32" }));
    if (initialise) linearDefault_(this.weight, this.bias);
  }

  get weight(): Tensor {
    return this.own("weight");
  }

  get bias(): Tensor | null {
    return this.ownOrNull("bias");
  }

  protected override compute(input: Tensor): Tensor {
    return ops.linear(input, this.weight, this.bias);
  }
}

/** Normalises by the batch's statistics, and moves the layer's running ones towards them. */
export type NormKernel = (norm: BatchNorm2d, input: Tensor) => Tensor;

/**
 * Batch normalisation over [N, C, H, W] (Ioffe & Szegedy 2015), with running statistics for evaluation. PyTorch's
 * buffer `num_batches_tracked`, which nothing reads, is not part of the state.
 */
export class BatchNorm2d extends Module {
  /** What normalises in training; null for ATen's operator. */
  kernel: NormKernel | null = null;
  readonly eps: number;
  /** How far a batch moves the running statistics towards its own, from 0 to 1. */
  momentum: number;

  constructor(channels: number, { eps = 1e-5, momentum = 0.1 } = {}) {
    super();
    this.eps = eps;
    this.momentum = momentum;
    this.registerParameter("weight", ones([channels], { dtype: "float32" }));
    this.registerParameter("bias", zeros([channels], { dtype: "float32" }));
    this.registerBuffer("running_mean", zeros([channels], { dtype: "float32" }));
    this.registerBuffer("running_var", ones([channels], { dtype: "float32" }));
  }

  override forward(input: Tensor): Tensor {
    if (this.training && this.kernel !== null) return this.kernel(this, input);
    const { weight, bias, runningMean, runningVar, training, momentum, eps } = this;
    return ops.batchNorm(input, weight, bias, runningMean, runningVar, training, momentum, eps, true);
  }

  get weight(): Tensor {
    return this.own("weight");
  }

  get bias(): Tensor {
    return this.own("bias");
  }

  get runningMean(): Tensor {
    return this.own("running_mean");
  }

  get runningVar(): Tensor {
    return this.own("running_var");
  }
}

/**
 * Normalises each image [C, H, W] of [N, C, H, W] by the mean and variance of each of `groups` groups of channels, then scales and
 * shifts each channel (Wu & He 2018, eq. 7).
 * @throws {UserError} when `groups` does not divide the number of channels.
 */
export class GroupNorm extends Module {
  readonly eps: number;

  constructor(
    readonly groups: number,
    channels: number,
    { eps = 1e-5 } = {},
  ) {
    super();
    this.eps = eps;
    if (channels % groups !== 0) {
      throw new UserError({
        operation: "GroupNorm",
        argument: "groups",
        expected: `a divisor of ${channels} channels`,
        received: String(groups),
      });
    }
    this.registerParameter("weight", ones([channels], { dtype: "float32" }));
    this.registerParameter("bias", zeros([channels], { dtype: "float32" }));
  }

  override forward(input: Tensor): Tensor {
    return ops.groupNorm(input, this.groups, this.own("weight"), this.own("bias"), this.eps);
  }
}

/** max(x, 0); `inPlace` writes it over the input, which nothing else may need then. */
export class ReLU extends Module {
  readonly #inPlace: boolean;

  constructor({ inPlace = false } = {}) {
    super();
    this.#inPlace = inPlace;
  }

  override forward(input: Tensor): Tensor {
    return this.#inPlace ? ops.relu_(input) : ops.relu(input);
  }
}

/** x · σ(x), also called swish (Hendrycks & Gimpel 2016, §2), for each value. */
export class SiLU extends Module {
  override forward(input: Tensor): Tensor {
    return ops.silu(input);
  }
}

/** x · Φ(x), Φ being the normal distribution's, or its approximation by tanh (Hendrycks & Gimpel 2016, §2), for each value. */
export class GELU extends Module {
  readonly approximate: "none" | "tanh";

  constructor({ approximate = "none" }: { approximate?: "none" | "tanh" } = {}) {
    super();
    this.approximate = approximate;
  }

  override forward(input: Tensor): Tensor {
    return ops.gelu(input, { approximate: this.approximate });
  }
}

/** σ(x) = 1 / (1 + e⁻ˣ), for each value. */
export class Sigmoid extends Module {
  override forward(input: Tensor): Tensor {
    return ops.sigmoid(input);
  }
}

/** The largest value of each window: [N, C, H, W] → [N, C, H', W']; windows follow each other unless `stride` is given. */
export class MaxPool2d extends Module {
  constructor(
    readonly kernelSize: Size2d,
    readonly options: { stride?: Size2d; padding?: Size2d; dilation?: Size2d } = {},
  ) {
    super();
  }

  override forward(input: Tensor): Tensor {
    const { stride = this.kernelSize, padding = 0, dilation = 1 } = this.options;
    return ops.maxPool2d(input, this.kernelSize, stride, padding, dilation);
  }
}

/** The mean of each window, in which padding counts as zeros: [N, C, H, W] → [N, C, H', W']. */
export class AvgPool2d extends Module {
  constructor(
    readonly kernelSize: Size2d,
    readonly stride: Size2d = kernelSize,
    readonly padding: Size2d = 0,
  ) {
    super();
  }

  override forward(input: Tensor): Tensor {
    return ops.avgPool2d(input, this.kernelSize, this.stride, this.padding);
  }
}

/** The mean over windows chosen to leave so many of them: [N, C, H, W] → [N, C, ...size]. */
export class AdaptiveAvgPool2d extends Module {
  constructor(readonly size: Size2d) {
    super();
  }

  override forward(input: Tensor): Tensor {
    return ops.adaptiveAvgPool2d(input, this.size);
  }
}

/** The largest value of windows chosen to leave so many of them: [N, C, H, W] → [N, C, ...size]. */
export class AdaptiveMaxPool2d extends Module {
  constructor(readonly size: Size2d) {
    super();
  }

  override forward(input: Tensor): Tensor {
    const [largest, places] = ops.adaptiveMaxPool2d(input, this.size);
    places.dispose();
    return largest;
  }
}

/** [N, …] → [N, product of the rest]. */
export class Flatten extends Module {
  override forward(input: Tensor): Tensor {
    return input.flatten(1);
  }
}

/** Zeroes each value with probability p in training, and scales the rest by 1/(1-p). */
export class Dropout extends Module {
  constructor(readonly p = 0.5) {
    super();
  }

  override forward(input: Tensor): Tensor {
    return ops.dropout(input, this.p, this.training);
  }
}

/** Modules one after the other, named "0", "1", …. */
export class Sequential extends Module {
  readonly #modules: Module[];

  constructor(...modules: Module[]) {
    super();
    this.#modules = modules.map((module, i) => this.registerModule(String(i), module));
  }

  override forward(input: Tensor): Tensor {
    return inTurn(
      () => input,
      this.#modules.map((module) => (value) => module.call(value)),
    );
  }
}
