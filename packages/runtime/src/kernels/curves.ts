import type { Curve } from "../plan/layer.js";
import type { Bend } from "../plan/sweep.js";
import { rowsOf } from "./rows.js";

/** Takes each number of a value through a curve. */
export function bend(memory: ArrayBuffer, { curve, from, to }: Bend): () => void {
  const floats = new Float32Array(memory);
  const at = CURVES[curve];
  const [sources, targets] = [rowsOf(from), rowsOf(to)];
  return () => {
    for (let r = 0; r < sources.length; r++) {
      const [source, target] = [sources[r] ?? 0, targets[r] ?? 0];
      for (let x = 0; x < from.width; x++) floats[target + x] = at(floats[source + x] ?? 0);
    }
  };
}

const CURVES: Readonly<Record<Curve, (x: number) => number>> = {
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  silu: (x) => x / (1 + Math.exp(-x)),
  gelu: (x) => x * normalBelow(x),
  // (1 + tanh u) / 2 is the sigmoid of 2u, without its loss of digits where u is negative.
  gelu_tanh: (x) => x / (1 + Math.exp(-2 * Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x))),
};

/** Beyond it, Φ is 0 or 1 to fifteen digits. */
const FAR = 8;

/** Φ(x) = ½ + φ(x) · (x + x³/3 + x⁵/(3·5) + …). Source: Marsaglia, "Evaluating the Normal Distribution" (2004), §1. */
function normalBelow(x: number): number {
  if (Math.abs(x) > FAR) return x > 0 ? 1 : 0;
  let term = x;
  let sum = x;
  for (let odd = 3; Math.abs(term) > 1e-9; odd += 2) {
    term *= (x * x) / odd;
    sum += term;
  }
  return 0.5 + (sum * Math.exp(-0.5 * x * x)) / Math.sqrt(2 * Math.PI);
}
