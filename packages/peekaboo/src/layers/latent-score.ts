import { full, noGrad, ones, ops, scope, type Tensor, zeros } from "@peekaboo/torch";
import { pabOps } from "../native/library.js";

/** The activations of latent scores, as `--hidden-act` names them. */
export const HIDDEN_ACTS = ["pruning", "flipping", "ternary", "none", "edge-popup"] as const;

/** What a score t does to the fixed weight w: its activation a(t) multiplies w. */
export type HiddenAct = (typeof HIDDEN_ACTS)[number];

export interface LatentOptions {
  act: HiddenAct;
  /** Edge-popup: the fraction of each layer's weights that its largest scores keep. */
  density: number;
  /** A learnable factor per input channel. */
  scalingInput: boolean;
}

/** A score's distribution at the start: uniform between two bounds; null for U(±1/√fan_in), edge-popup's. */
export const SCORE_BOUNDS: Readonly<Record<Exclude<HiddenAct, "none">, readonly [from: number, to: number] | null>> = {
  pruning: [0.01, 0.1],
  flipping: [0.01, 0.1],
  ternary: [-1, 1],
  "edge-popup": null,
};

/** The first thresholds of `ternary`. */
const TERNARY = { lo: -0.1, hi: 0.1 };

/**
 * A learned score t of a fixed weight's shape; the weight used is a(t) ⊙ w, and gradients pass a straight through
 * (docs/algorithm.md §6). The parameters are t, ternary's thresholds lo and hi, and the input channels' `scale`.
 */
export class LatentScore {
  readonly options: LatentOptions;
  /** By the name that the owning layer registers them under. */
  readonly parameters: ReadonlyMap<string, Tensor>;

  /** @param shape the weight's, [out, in, …] */
  constructor(options: LatentOptions, shape: readonly number[]) {
    this.options = options;
    const { act, scalingInput } = options;
    const scalar = (value: number) => full([1], value, { dtype: "float32" });
    const parameters: [string, Tensor][] = [];
    if (act !== "none") parameters.push(["t", zeros(shape, { dtype: "float32" })]);
    if (act === "ternary") parameters.push(["lo", scalar(TERNARY.lo)], ["hi", scalar(TERNARY.hi)]);
    if (scalingInput) {
      const channels = shape.map((size, axis) => (axis === 1 ? size : 1));
      parameters.push(["scale", ones(channels, { dtype: "float32" })]);
    }
    this.parameters = new Map(parameters);
  }

  /** a(t) ⊙ scale ⊙ w, differentiable by the parameters. */
  applyTo(weight: Tensor): Tensor {
    const scale = this.parameters.get("scale");
    const active = this.unscaled(weight);
    return scale === undefined ? active : ops.mul(active, scale);
  }

  /** a(t) ⊙ w, differentiable by the parameters. */
  unscaled(weight: Tensor): Tensor {
    const activation = this.#activation();
    return activation === null ? weight : ops.mul(activation, weight);
  }

  /** a(t); null where it is 1 everywhere. */
  #activation(): Tensor | null {
    const { act, density } = this.options;
    const t = this.#parameter("t");
    if (t === null) return null;
    switch (act) {
      case "pruning":
        return straightThrough(t, () => t.gt(0).to({ dtype: t.dtype }));
      case "flipping":
        return straightThrough(t, () => t.sign());
      case "edge-popup": {
        const size = ops.abs(t);
        return straightThrough(size, () => largest(size, density).to({ dtype: t.dtype }));
      }
      default:
        return ternary(t, this.#parameter("lo"), this.#parameter("hi"));
    }
  }

  #parameter(name: string): Tensor | null {
    return this.parameters.get(name) ?? null;
  }
}

/** The value of `hard()` with the gradient of `soft`: soft - soft is exactly 0. */
function straightThrough(soft: Tensor, hard: () => Tensor): Tensor {
  return ops.add(noGrad(hard), zeroWithGradient(soft));
}

function zeroWithGradient(tensor: Tensor): Tensor {
  return ops.sub(tensor, tensor.detach());
}

/** 1 above hi, -1 below lo, else 0; the gradient there 1 to t, and -1 to the threshold that was passed. */
function ternary(t: Tensor, lo: Tensor | null, hi: Tensor | null): Tensor {
  if (lo === null || hi === null) throw new TypeError("ternary: expected both thresholds");
  const [above, below] = noGrad(() => [t.gt(hi).to({ dtype: t.dtype }), t.lt(lo).to({ dtype: t.dtype })]);
  const moved = zeroWithGradient(t);
  const upper = ops.mul(ops.sub(moved, zeroWithGradient(hi)), above);
  const lower = ops.mul(ops.sub(moved, zeroWithGradient(lo)), below);
  return ops.add(
    noGrad(() => ops.sub(above, below)),
    ops.add(upper, lower),
  );
}

/** uint8, 1 for all but the floor((1-density)·n) smallest values; ties with the last of these go too. */
function largest(values: Tensor, density: number): Tensor {
  return scope(() => {
    const cut = Math.floor((1 - density) * values.numel);
    if (cut < 1) return ops.onesLike(values.detach(), { dtype: "uint8" });
    const scores = values.detach().to({ dtype: "float64" });
    if (scores.device !== "cpu") {
      // As a number, the threshold would make the CPU wait for the device in every layer.
      const [threshold] = ops.kthvalue(scores.flatten(), cut);
      return scores.gt(threshold).to({ dtype: "uint8" });
    }
    const { kthSmallest, keepAbove } = pabOps();
    return keepAbove(scores, kthSmallest([scores], cut))[0];
  });
}
