import { UserError } from "@peekaboo/files/errors";
import { numel } from "@peekaboo/files/safetensors";
import {
  fillByInversion,
  laplaceQuantile,
  normalQuantile,
  type Quantile,
  signQuantile,
  symmetricUniformQuantile,
} from "../random/distributions.js";
import { RandomStream } from "../random/stream.js";

/** The names of the initialisations, as the reference implementation's `--init-method` takes them. */
export const INIT_METHODS = [
  "kaiming_normal",
  "kaiming_uniform",
  "kaiming_laplace",
  "kaiming_constant_signed",
  "kaiming_constant_unsigned",
  "xavier_normal",
  "xavier_constant",
  "standard",
] as const;

export type InitMethod = (typeof INIT_METHODS)[number];

/** How many inputs feed one output of a layer, and how many outputs one input feeds. */
export interface Fan {
  fanIn: number;
  fanOut: number;
}

/** A weight is scale(fan)·quantile(p), p uniform on (0, 1). */
interface Initialiser {
  quantile: Quantile;
  scale(fan: Fan): number;
}

const kaiming = ({ fanIn }: Fan) => Math.SQRT2 / Math.sqrt(fanIn);
const xavier = ({ fanIn, fanOut }: Fan) => Math.sqrt(2 / (fanIn + fanOut));
const inverseRootFanIn = ({ fanIn }: Fan) => 1 / Math.sqrt(fanIn);

const INITIALISERS: Record<InitMethod, Initialiser> = {
  kaiming_normal: { quantile: normalQuantile, scale: kaiming },
  kaiming_uniform: { quantile: symmetricUniformQuantile, scale: (fan) => Math.sqrt(3) * kaiming(fan) },
  kaiming_laplace: { quantile: laplaceQuantile, scale: ({ fanIn }) => Math.SQRT2 / Math.sqrt(2 * fanIn) },
  kaiming_constant_signed: { quantile: signQuantile, scale: kaiming },
  kaiming_constant_unsigned: { quantile: (values) => void values.fill(1), scale: kaiming },
  xavier_normal: { quantile: normalQuantile, scale: xavier },
  xavier_constant: { quantile: signQuantile, scale: xavier },
  standard: { quantile: symmetricUniformQuantile, scale: inverseRootFanIn },
};

/**
 * The initial weights of the state `stateName`, row-major, of shape [out, in, …] (convolution or Linear).
 *
 * Each value is a function of (method, seed, stateName, its position) alone, computed in double and rounded to float32:
 * the same bits on every engine, with no libtorch. Methods share their uniform draws, so those with random signs agree
 * on every sign, and no weight is 0.
 * `standard`, U(±1/√fan_in), is PyTorch's default for convolutions and Linear.
 * @throws {UserError} for an unknown method, a bad seed or a shape of fewer than two dimensions or without elements.
 * Sources: He et al., "Delving Deep into Rectifiers" (ICCV 2015), eq. 10 (kaiming_*: variance 2/fan_in); Glorot and Bengio,
 * "Understanding the difficulty of training deep feedforward neural networks" (AISTATS 2010), eq. 12 (xavier_*: variance
 * 2/(fan_in + fan_out)); Ramanujan et al., "What's Hidden in a Randomly Weighted Neural Network?" (CVPR 2020)
 * (kaiming_constant_signed).
 */
export function initialiseWeight(
  method: InitMethod,
  seed: number,
  stateName: string,
  shape: readonly number[],
): Float32Array {
  if (!Object.hasOwn(INITIALISERS, method)) {
    throw new UserError({
      operation: `initialise ${stateName}`,
      argument: "method",
      expected: `one of ${INIT_METHODS.join(", ")}`,
      received: String(method),
    });
  }
  const { quantile, scale } = INITIALISERS[method];
  const factor = scale(fanOf(shape));
  const weight = new Float32Array(numel(shape));
  fillByInversion(weight, new RandomStream(seed, stateName), quantile, factor);
  return weight;
}

/** The initial bias [n] of a convolution or Linear with `fanIn` inputs an output: U(±1/√fan_in), PyTorch's default. */
export function initialiseUniformBias(seed: number, stateName: string, fanIn: number, n: number): Float32Array {
  const bias = new Float32Array(n);
  const scale = inverseRootFanIn({ fanIn, fanOut: n });
  fillByInversion(bias, new RandomStream(seed, stateName), symmetricUniformQuantile, scale);
  return bias;
}

/** `n` values uniform between two bounds, each a function of (seed, stateName, its position) alone. */
export function uniformBetween(seed: number, stateName: string, n: number, from: number, to: number): Float32Array {
  const values = new Float32Array(n);
  fillByInversion(values, new RandomStream(seed, stateName), (drawn) => {
    for (let i = 0; i < drawn.length; i++) drawn[i] = from + (to - from) * (drawn[i] ?? 0);
  });
  return values;
}

/**
 * The fans of a weight [out, in, …kernel]: fan_in = in·kernel and fan_out = out·kernel, as PyTorch's nn.init counts them.
 * @throws {UserError} for fewer than two dimensions, or one that is not a positive integer.
 */
export function fanOf(shape: readonly number[]): Fan {
  const [outputs, inputs, ...kernel] = shape;
  const valid = shape.every((size) => Number.isSafeInteger(size) && size > 0);
  if (outputs === undefined || inputs === undefined || !valid) {
    throw new UserError({
      operation: "initialise a weight",
      argument: "shape",
      expected: "two or more positive integers",
      received: `[${shape.join(", ")}]`,
    });
  }
  const area = numel(kernel);
  return { fanIn: inputs * area, fanOut: outputs * area };
}
