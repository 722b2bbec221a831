import { ops, optim, scope } from "@peekaboo/torch";
import { Network } from "peekaboo/models/network";
import { Bop } from "peekaboo/optim/bop";

const psg = {
  backward: true,
  msbBits: 8,
  msbBitsGrad: 16,
  threshold: { mode: "relative", value: 1e-7 },
  sparsify: true,
  takeSign: false,
} as const;

export interface Stepper {
  step(): void;
  /** Bytes of the gradients, in float32. */
  bytes: number;
}

/** One step on a batch of CIFAR's shape of a network whose convolutions Bop trains, or of one that SGD trains alone. */
export function stepper(name: string, batch: number, signs: boolean, layout: "channelsLast" | "contiguous"): Stepper {
  const input = ops.contiguous(ops.randn([batch, 3, 32, 32]), { memoryFormat: layout });
  const target = ops.zeros([batch], { dtype: "int64" });
  const network = new Network({ arch: name, numClasses: 10, psg });
  network.initialise("kaiming_normal", 0);
  const bop = signs ? new Bop(network.bopParameters(), { ar: 1e-3, tau: 1e-6 }) : null;
  const rest = signs ? network.otherParameters() : network.module.namedParameters();
  const sgd = new optim.SGD(rest, { lr: 0.1, momentum: 0.9, weightDecay: 5e-4 });
  const step = () =>
    scope(() => {
      network.module.zeroGrad();
      const loss = ops.crossEntropyLoss(network.call(input), target);
      loss.backward();
      bop?.step();
      sgd.step();
    });
  const weights = [...network.module.namedParameters()];
  return { step, bytes: 4 * weights.reduce((sum, [, { numel }]) => sum + numel, 0) };
}
