import { nn, type Tensor } from "@peekaboo/torch";
import { pabOps } from "../native/library.js";
import { type LatentOptions, LatentScore } from "./latent-score.js";
import { MaskedLayer } from "./masked-layer.js";

/** How a convolution is computed: by its definition, or where that is faster by Winograd's algorithm, which rounds otherwise. */
export const CONVOLUTIONS = ["exact", "fast"] as const;
export type Convolution = (typeof CONVOLUTIONS)[number];
/** Trainings end equally well with either: docs/results.md, "The convolutions". */
export const DEFAULT_CONVOLUTION: Convolution = "fast";

export interface MaskedConv2dOptions {
  inChannels: number;
  outChannels: number;
  kernelSize: nn.Size2d;
  stride?: nn.Size2d;
  padding?: nn.Size2d;
  dilation?: nn.Size2d;
  groups?: number;
  bias?: boolean;
  /** Who trains the bias: Bop by its sign, as the original does, or SGD; default: "bop". */
  biasBy?: "bop" | "sgd";
  /** Whether the input can be negative: the first convolution's, and those that no ReLU precedes. */
  inputSigned?: boolean;
  /** False keeps pruners away; a convolution that is `false` in the plain network may be prunable in its variants. */
  prunable?: boolean;
  /** Default: {@link DEFAULT_CONVOLUTION}. */
  conv?: Convolution;
  /** Makes the weight a fixed one that a learned score acts on. */
  latent?: LatentOptions | null;
}

/**
 * A convolution with the weight mask ⊙ weight, or mask ⊙ a(t) ⊙ weight with a latent score t: [N, inChannels, H, W] →
 * [N, outChannels, H', W']. Bop owns its parameters.
 * @throws {UserError} when `groups` does not divide both numbers of channels.
 */
export class MaskedConv2d extends MaskedLayer {
  readonly options: Required<MaskedConv2dOptions>;
  readonly latent: LatentScore | null = null;

  constructor(options: MaskedConv2dOptions) {
    const { bias = false, prunable = true, latent = null } = options;
    const shape = nn.conv2dShape(options);
    super({ shape, bias, prunable });
    const defaults = {
      stride: 1,
      padding: 0,
      dilation: 1,
      groups: 1,
      biasBy: "bop",
      inputSigned: false,
      conv: DEFAULT_CONVOLUTION,
    } as const;
    this.options = { ...defaults, ...options, bias, prunable, latent };
    if (latent === null) return;
    this.weight.requireGrad(false);
    this.latent = new LatentScore(latent, shape);
    for (const [name, tensor] of this.latent.parameters) this.registerParameter(name, tensor);
  }

  override unmaskedWeight(): Tensor {
    return this.latent === null ? this.weight : this.latent.applyTo(this.weight);
  }

  override forward(input: Tensor): Tensor {
    const { stride, padding, dilation, groups, conv } = this.options;
    const fast = conv === "fast";
    // ATen's own in float32 unless `fast`; in float64, where pruning runs, many times faster than it.
    const weight = this.effectiveWeight();
    const output = pabOps().conv2d(input, weight, this.bias, stride, padding, dilation, groups, { fast });
    return this.probed(input, output);
  }
}
