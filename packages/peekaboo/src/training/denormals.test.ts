import { noGrad, ops, optim, scope, Tensor } from "@peekaboo/torch";
import { afterEach, describe, expect, it } from "vitest";
import { THE_PAPERS as psg } from "../layers/psg-conv2d.js";
import { Network } from "../models/network.js";
import { pabOps } from "../native/library.js";
import { Bop } from "../optim/bop.js";
import { Bop2 } from "../optim/bop2.js";

const TINY = 2 ** -126;

const open: { dispose(): void }[] = [];
afterEach(() => {
  for (const thing of open.splice(0)) thing.dispose();
});

interface Counts {
  denormal: number;
  normal: number;
}

function countsOf(tensors: Iterable<Tensor>): Counts {
  const counts = { denormal: 0, normal: 0 };
  for (const tensor of tensors) {
    if (tensor.dtype !== "float32") continue;
    for (const value of tensor.toFloat32Array()) {
      if (Math.abs(value) >= TINY) counts.normal++;
      else if (value !== 0) counts.denormal++;
    }
  }
  return counts;
}

function makeNetwork(): Network {
  const network = new Network({ arch: "PsgResNet20", numClasses: 10, width: 0.125, psg });
  network.initialise("kaiming_normal", 1);
  open.push(network);
  return network;
}

/** Steps of a network by hand, so that its gradients can be looked at before they are gone. */
function stepper(network: Network, order: 1 | 2) {
  const rates = { ar: 0.99, tau: 1e-6 };
  const signs =
    order === 1
      ? new Bop(network.bopParameters(), rates)
      : new Bop2(network.bopParameters(), { ...rates, sigma: 0.99, eps: 1e-10, biasCorrection: false });
  const sgd = new optim.SGD(network.otherParameters(), { lr: 1e-3, momentum: 0.01, weightDecay: 0 });
  const input = ops.randn([4, 3, 8, 8]);
  const target = ops.zeros([4], { dtype: "int64" });
  open.push(signs, sgd, input, target);
  /** One step of the loss times `factor`, which is 1 but where gradients are to be smaller. */
  const step = (factor: number) =>
    scope(() => {
      network.module.zeroGrad();
      const loss = ops.crossEntropyLoss(network.call(input), target);
      loss.mul(factor).backward();
      signs.step();
      sgd.step();
      const gradients = [...network.module.namedParameters()].flatMap(([, { grad }]) => (grad === null ? [] : [grad]));
      const averages = [...signs.stateDict().values()].flatMap((state) => Object.values(state));
      return {
        loss: loss.item(),
        gradients: countsOf(gradients),
        states: countsOf([...averages, ...sgd.stateDict().tensors.values()]),
      };
    });
  return { step };
}

describe("a network whose gradients are below the least normal number", () => {
  it.each([1, 2] as const)(
    "gives no denormal: not in gradients, nor averages, nor momenta (Bop of order %d)",
    (order) => {
      const { step } = stepper(makeNetwork(), order);
      const first = step(1);
      expect(first.gradients.normal).toBeGreaterThan(1000);
      expect(first.states.normal).toBeGreaterThan(1000);
      const denormal = { gradients: 0, states: 0 };
      let last = first;
      // Gradients about the least normal number; then none, while what is remembered falls by a factor of 100 a step.
      for (const factor of [...Array<number>(6).fill(1e-36), ...Array<number>(25).fill(0)]) {
        last = step(factor);
        expect(Number.isFinite(last.loss)).toBe(true);
        denormal.gradients += last.gradients.denormal;
        denormal.states += last.states.denormal;
      }
      expect(denormal).toEqual({ gradients: 0, states: 0 });
      expect(last.gradients).toEqual({ denormal: 0, normal: 0 });
      expect(last.states).toEqual({ denormal: 0, normal: 0 });
    },
  );
});

describe("weights that are denormal", () => {
  it.each([1e-39, 1e-45, 1e-37])("are taken for zeros, or as they are from 2^-126 on: %d", (size) => {
    const network = makeNetwork();
    noGrad(() => {
      for (const [, { weight }] of network.prunable()) {
        const values = Float32Array.from({ length: weight.numel }, (_, i) => (i % 2 === 0 ? size : -size));
        weight.copy_(Tensor.from(values, { shape: weight.shape }));
      }
    });
    const { step } = stepper(network, 1);
    for (let i = 0; i < 3; i++) {
      const { loss, gradients, states } = step(1);
      expect(Number.isFinite(loss)).toBe(true);
      expect([gradients.denormal, states.denormal]).toEqual([0, 0]);
    }
  });

  it.each(["activation", "weight", "gradient"])("are quantised to finite numbers, in the role of %s", (role) => {
    scope(() => {
      const values = [1e-39, -3e-45, 0, 1e-45, 5e-38, -1e-40, 2e-39, 1e-37];
      for (const count of [4, 8]) {
        const input = Tensor.from(Float32Array.from(values.slice(0, count)), { shape: [2, count / 2] });
        for (const quantize of [pabOps().quantize, pabOps().quantizeReference]) {
          const result = quantize(input, role, { bits: 4, signed: true }).toFloat32Array();
          expect(result.every((value) => Number.isFinite(value) && Math.abs(value) <= 1.1e-37)).toBe(true);
        }
      }
    });
  });
});
