import { ops, optim, scope } from "@peekaboo/torch";
import { type Batch, Bop, buildNetwork } from "peekaboo";

export interface Stepper {
  /** One step on the next batch. */
  step(): void;
  /** Of all steps so far. */
  readonly losses: readonly number[];
  /** Bytes of the gradients, in float32. */
  bytes: number;
}

/** How a network is trained. */
export interface StepperOptions {
  /** Whether Bop trains the signs of the convolutions, or SGD all weights. */
  signs: boolean;
  layout?: "channelsLast" | "contiguous";
  /** What the loss is multiplied with before the backward pass. */
  factor?: number;
}

/** Steps of a network on batches of CIFAR's shape, which are taken in turn. */
export function stepper(name: string, batches: readonly Batch[], options: StepperOptions): Stepper {
  const { signs, layout = "channelsLast", factor = 1 } = options;
  const own = batches.map(({ input, target }) => ({ target, input: ops.contiguous(input, { memoryFormat: layout }) }));
  const network = buildNetwork(name);
  const bop = signs ? new Bop(network.bopParameters(), { ar: 1e-3, tau: 1e-6 }) : null;
  const rest = signs ? network.otherParameters() : network.module.namedParameters();
  const sgd = new optim.SGD(rest, { lr: 0.1, momentum: 0.9, weightDecay: 5e-4 });
  const losses: number[] = [];
  const step = () =>
    scope(() => {
      const batch = own[losses.length % own.length];
      if (batch === undefined) throw new Error("no batches");
      network.module.zeroGrad();
      const loss = ops.crossEntropyLoss(network.call(batch.input), batch.target);
      (factor === 1 ? loss : loss.mul(factor)).backward();
      bop?.step();
      sgd.step();
      losses.push(loss.item());
    });
  const weights = [...network.module.namedParameters()];
  return { step, losses, bytes: 4 * weights.reduce((sum, [, { numel }]) => sum + numel, 0) };
}
