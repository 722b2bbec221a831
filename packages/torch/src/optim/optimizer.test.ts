import { encodeSafetensors, parseSafetensors } from "@peekaboo/files/safetensors";
import { describe, expect, it } from "vitest";
import { Linear } from "../nn/layers.js";
import { entryOf, tensorOf } from "../safetensors-tensors.js";
import { scope } from "../scope.js";
import { ones, Tensor } from "../tensor.js";
import { Adam } from "./adam.js";
import type { Optimizer, OptimizerState } from "./optimizer.js";
import { SGD } from "./sgd.js";

const kinds: [string, (parameters: [string, Tensor][]) => Optimizer][] = [
  ["SGD", (parameters) => new SGD(parameters, { lr: 0.1, momentum: 0.9, nesterov: true, weightDecay: 0.01 })],
  ["Adam", (parameters) => new Adam(parameters, { lr: 0.1, weightDecay: 0.01 })],
];

const newParameters = (): [string, Tensor][] => [
  ["a.weight", Tensor.of([1, -2], { dtype: "float64" }).requireGrad()],
  ["b", Tensor.of([[3]], { dtype: "float64" }).requireGrad()],
];

/** Steps 1 to `last`, from `first`, with gradients that depend on the step. */
function run(optimizer: Optimizer, first: number, last: number): void {
  for (let step = first; step <= last; step++) {
    for (const parameter of optimizer.parameters.values()) parameter.grad = parameter.detach().mul(step).sub(1);
    optimizer.step();
  }
}

/** A state as a file holds it, read again. */
function throughFile({ tensors, numbers }: OptimizerState): OptimizerState {
  const entries = [...tensors].map(([name, tensor]) => [name, entryOf(tensor)] as const);
  const bytes = Buffer.concat(encodeSafetensors(entries, { numbers: JSON.stringify(numbers) }));
  const file = parseSafetensors(new Uint8Array(bytes), "state");
  return {
    tensors: new Map([...file.tensors].map(([name, entry]) => [name, tensorOf(entry)])),
    numbers: JSON.parse(file.metadata.numbers ?? "") as Record<string, number>,
  };
}

describe.each(kinds)("the state of %s", (_, make) => {
  it("makes a new optimiser go on as the old one would have, through a file", () => {
    scope(() => {
      const straight = make(newParameters());
      straight.lr = 0.05;
      run(straight, 1, 5);

      const before = make(newParameters());
      before.lr = 0.05;
      run(before, 1, 3);
      const parameters = [...before.parameters];
      const after = make(parameters);
      after.loadStateDict(throughFile(before.stateDict()));
      before.dispose();
      run(after, 4, 5);

      expect(after.lr).toBe(0.05);
      for (const [name, tensor] of straight.parameters) {
        expect(after.parameters.get(name)?.toTypedArray()).toEqual(tensor.toTypedArray());
      }
      for (const optimizer of [straight, after]) optimizer.dispose();
    });
  });

  it("is refused with an unknown name or another shape, and nothing changes", () => {
    scope(() => {
      const optimizer = make(newParameters());
      run(optimizer, 1, 1);
      const before = optimizer.stateDict();
      const [kind] = [...before.tensors.keys()][0]?.split(".") ?? [];
      const load = (key: string, tensor: Tensor) => () =>
        optimizer.loadStateDict({ tensors: new Map([[key, tensor]]), numbers: { lr: 9 } });
      expect(load(`${kind}.c`, ones([1]))).toThrow("expected the name of a trained parameter for");
      expect(load("c", ones([1]))).toThrow("for c, received an unknown one");
      expect(load(`${kind}.b`, ones([2]))).toThrow(`expected shape [1, 1] for ${kind}.b, received [2].`);
      expect(() => optimizer.loadStateDict({ tensors: new Map(), numbers: { lr: -1 } })).toThrow("for lr, received -1");
      expect(optimizer.stateDict()).toEqual(before);
      expect([...before.tensors.values()].some((tensor) => tensor.isDisposed)).toBe(false);
      optimizer.dispose();
    });
  });

  it("is copied, to the dtype of its parameter", () => {
    scope(() => {
      const [first] = newParameters();
      if (first === undefined) throw new Error("a parameter");
      const source = make([first]);
      run(source, 1, 1);
      const single = make([["a.weight", ones([2]).requireGrad()]]);
      single.loadStateDict(source.stateDict());
      source.dispose();
      for (const tensor of single.stateDict().tensors.values()) {
        expect([tensor.dtype, tensor.isDisposed]).toEqual(["float32", false]);
      }
      single.dispose();
    });
  });
});

describe("an optimiser", () => {
  it("forgets gradients", () => {
    scope(() => {
      const parameters = newParameters();
      const sgd = new SGD(parameters, { lr: 1 });
      for (const [, tensor] of parameters) tensor.sum().backward();
      sgd.zeroGrad();
      expect(parameters.map(([, tensor]) => tensor.grad)).toEqual([null, null]);
    });
  });

  it("refuses two parameters of one name", () => {
    scope(() => {
      const pairs: [string, Tensor][] = [
        ["w", ones([1])],
        ["w", ones([1])],
      ];
      expect(() => new SGD(pairs, { lr: 1 })).toThrow(
        'make SGD: expected names that differ for parameters, received "w" twice.',
      );
    });
  });

  it("goes on with a module's parameters after they were converted", () => {
    scope(() => {
      const linear = new Linear(1, 1, { bias: false });
      const sgd = new SGD(linear.namedParameters(), { lr: 1 });
      linear.weight.detach().fill_(5);
      linear.to({ dtype: "float64" });
      linear
        .call(Tensor.of([[2]], { dtype: "float64" }))
        .sum()
        .backward();
      sgd.step();
      expect([linear.weight.dtype, linear.weight.toArray()]).toEqual(["float64", [[3]]]);
      linear.dispose();
    });
  });
});
