import { nn, ops, type Tensor } from "@peekaboo/torch";
import { pabOps } from "../native/library.js";

/** Has every BatchNorm of a module normalise in training by the operator that {@link normAct} uses: the same digits, rectified or not. */
export function useOwnNorms(module: nn.Module): void {
  for (const [, own] of module.namedModules()) if (own instanceof nn.BatchNorm2d) own.kernel ??= normalised;
}

/** BatchNorm and what mostly follows it: relu(norm(input)), or relu(norm(input) + residual()), which is called after the norm. */
export function normAct(norm: nn.BatchNorm2d, input: Tensor, residual?: () => Tensor): Tensor {
  if (canInclude(norm)) return inOne(norm, input, { residual: residual?.() ?? null, relu: true });
  const out = norm.call(input);
  // In place: no backward pass needs the summands.
  return ops.relu_(residual === undefined ? out : out.add_(residual()));
}

/** Modules one after the other, in which a ReLU is computed together with the BatchNorm before it. */
export class NormActSequential extends nn.Sequential {
  readonly #modules: readonly nn.Module[];

  constructor(...modules: nn.Module[]) {
    super(...modules);
    this.#modules = modules;
  }

  override forward(input: Tensor): Tensor {
    const pairs = this.#modules.map(
      (module, i) => module instanceof nn.BatchNorm2d && this.#modules[i + 1] instanceof nn.ReLU && canInclude(module),
    );
    const steps = this.#modules.flatMap((module, i) => {
      if (pairs[i - 1] === true) return [];
      const together = pairs[i] === true && module instanceof nn.BatchNorm2d;
      return [(value: Tensor) => (together ? normAct(module, value) : module.call(value))];
    });
    return nn.inTurn(() => input, steps);
  }
}

/** In evaluation, and where outputs are watched, each operation is its own. */
function canInclude(norm: nn.BatchNorm2d): boolean {
  return norm.training && norm.kernel === normalised && !nn.outputsAreWatched();
}

const normalised: nn.NormKernel = (norm, input) => inOne(norm, input, { residual: null, relu: false });

function inOne(norm: nn.BatchNorm2d, input: Tensor, how: { residual: Tensor | null; relu: boolean }): Tensor {
  const { weight, bias, runningMean, runningVar, momentum, eps } = norm;
  const { residual, relu } = how;
  return pabOps().batchNormAct(input, weight, bias, runningMean, runningVar, residual, { momentum, eps, relu });
}
