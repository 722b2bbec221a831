import { UserError } from "@peekaboo/files/errors";
import { encodeSafetensors, parseSafetensors } from "@peekaboo/files/safetensors";
import { describe, expect, it } from "vitest";
import { entryOf, tensorOf } from "../safetensors-tensors.js";
import { liveTensorCount, scope } from "../scope.js";
import { full, ones, Tensor, zeros } from "../tensor.js";
import { BatchNorm2d, Conv2d, Dropout, Linear, ReLU, Sequential } from "./layers.js";
import { Module, outputsAreWatched, watchOutputs } from "./module.js";

class Block extends Module {
  readonly #conv = this.registerModule(
    "conv",
    new Conv2d({ inChannels: 1, outChannels: 2, kernelSize: 1, bias: false }),
  );
  readonly #bn = this.registerModule("bn", new BatchNorm2d(2));

  constructor() {
    super();
    this.registerParameter("scale", ones([1]));
    this.registerBuffer("seen", zeros([2], { dtype: "int64" }));
    this.registerBuffer("scratch", zeros([1]), { persistent: false });
  }

  override forward(input: Tensor): Tensor {
    return this.#bn.call(this.#conv.call(input)).mul(this.own("scale"));
  }
}

/** A module for a test's time. */
function using<Own extends Module>(module: Own, body: (module: Own) => void): void {
  scope(() => {
    try {
      body(module);
    } finally {
      module.dispose();
    }
  });
}

const net = () => new Sequential(new Block(), new ReLU());

describe("a module's state", () => {
  it("is named and ordered as PyTorch's, without what is not persistent", () => {
    using(net(), (module) => {
      const shapes = [...module.stateDict()].map(([name, { shape }]) => [name, shape]);
      expect(shapes).toEqual([
        ["0.scale", [1]],
        ["0.seen", [2]],
        ["0.conv.weight", [2, 1, 1, 1]],
        ["0.bn.weight", [2]],
        ["0.bn.bias", [2]],
        ["0.bn.running_mean", [2]],
        ["0.bn.running_var", [2]],
      ]);
    });
  });

  it("comes back through a file, bit for bit", () => {
    using(net(), (source) =>
      using(net(), (target) => {
        const entries = [...source.stateDict()].map(([name, tensor]) => [name, entryOf(tensor)] as const);
        const bytes = new Uint8Array(Buffer.concat(encodeSafetensors(entries)));
        const { tensors } = parseSafetensors(bytes, "state");
        const state = new Map([...tensors].map(([name, entry]) => [name, tensorOf(entry)]));
        expect(target.loadStateDict(state)).toEqual({ missing: [], unexpected: [], misshaped: [] });
        for (const [name, tensor] of source.stateDict()) {
          expect(target.stateDict().get(name)?.toTypedArray()).toEqual(tensor.toTypedArray());
        }
        expect(target.stateDict().get("0.conv.weight")?.requiresGrad).toBe(true);
      }),
    );
  });

  it("is refused when it differs, with the first names of each kind, and nothing is copied", () => {
    using(new Linear(2, 2), (module) => {
      const before = module.weight.toArray();
      const state = new Map([
        ["weight", full([2, 3], 7)],
        ...["a", "b", "c", "d", "e"].map((name) => [name, ones([1])] as const),
      ]);
      const load = () => module.loadStateDict(state);
      expect(load).toThrow(UserError);
      expect(load).toThrow(
        "load state: expected the network's own names and shapes for the state, received 1 missing (bias), 5 unexpected (a, b, c and 2 more), 1 of another shape (weight [2,3] instead of [2,2]); build the network as it was when the state was saved.",
      );
      expect(module.weight.toArray()).toEqual(before);
    });
  });

  it("is copied as far as it fits when that is asked for, and the rest reported", () => {
    using(new Linear(2, 2), (module) => {
      const bias = module.bias?.toArray();
      const state = new Map([
        ["weight", full([2, 2], 7)],
        ["bias", full([3], 7)],
        ["other", ones([1])],
      ]);
      expect(module.loadStateDict(state, { strict: false })).toEqual({
        missing: [],
        unexpected: ["other"],
        misshaped: [{ name: "bias", expected: [2], received: [3] }],
      });
      expect([module.weight.toArray(), module.bias?.toArray()]).toEqual([
        [
          [7, 7],
          [7, 7],
        ],
        bias,
      ]);
    });
  });

  it("takes another dtype's values over", () => {
    using(new Linear(1, 1, { bias: false }), (module) => {
      module.loadStateDict(new Map([["weight", full([1, 1], 0.5, { dtype: "float64" })]]));
      expect([module.weight.dtype, module.weight.item()]).toEqual(["float32", 0.5]);
    });
  });
});

describe("a module", () => {
  it("runs and keeps nothing but the result", () => {
    using(net(), (module) => {
      const before = liveTensorCount();
      const output = module.eval().call(ones([1, 1, 2, 2]));
      // The input and the output.
      expect(liveTensorCount() - before).toBe(2);
      expect(output.shape).toEqual([1, 2, 2, 2]);
    });
  });

  it("switches all below it between training and evaluation", () => {
    using(new Sequential(new Sequential(new Dropout())), (module) => {
      const modes = () => [...module.namedModules()].map(([name, { training }]) => [name, training]);
      expect(modes()).toEqual([
        ["", true],
        ["0", true],
        ["0.0", true],
      ]);
      expect(module.eval()).toBe(module);
      expect(modes().every(([, training]) => training === false)).toBe(true);
      module.train();
      expect(modes().every(([, training]) => training === true)).toBe(true);
    });
  });

  it("converts its floating-point tensors in place, whoever holds them", () => {
    using(net(), (module) => {
      const held = [...module.namedParameters()].map(([, tensor]) => tensor);
      held[0]?.requireGrad(false);
      const before = liveTensorCount();
      module.to({ dtype: "float64", device: "cpu" });
      expect(liveTensorCount()).toBe(before);
      expect([...module.namedParameters()].map(([, tensor]) => tensor)).toEqual(held);
      const dtypes = new Map([...module.stateDict()].map(([name, tensor]) => [name, tensor.dtype]));
      expect([dtypes.get("0.conv.weight"), dtypes.get("0.bn.running_var"), dtypes.get("0.seen")]).toEqual([
        "float64",
        "float64",
        "int64",
      ]);
      expect(held.map((tensor) => tensor.requiresGrad)).toEqual([false, true, true, true]);
      expect(held.every((tensor) => tensor.isLeaf)).toBe(true);
      expect(module.call(ones([2, 1, 2, 2], { dtype: "float64" })).dtype).toBe("float64");
    });
  });

  it("names a shared parameter once among those to train, and twice in its state", () => {
    const shared = new Linear(1, 1, { bias: false });
    using(new Sequential(shared, shared), (module) => {
      expect([...module.namedParameters()].map(([name]) => name)).toEqual(["0.weight"]);
      expect([...module.stateDict().keys()]).toEqual(["0.weight", "1.weight"]);
      module.to({ dtype: "float64" });
      expect(shared.weight.dtype).toBe("float64");
    });
  });

  it("forgets gradients", () => {
    using(new Linear(1, 1), (module) => {
      module
        .call(ones([1, 1]))
        .sum()
        .backward();
      expect(module.weight.grad?.item()).toBe(1);
      module.zeroGrad();
      expect([module.weight.grad, module.bias?.grad]).toEqual([null, null]);
    });
  });

  it("frees every parameter and buffer", () => {
    const before = liveTensorCount();
    scope(() => net().dispose());
    expect(liveTensorCount()).toBe(before);
  });

  it("lives on after the scope that it was made in", () => {
    const module = scope(() => new Linear(1, 1));
    expect(module.weight.isDisposed).toBe(false);
    module.dispose();
  });

  it("refuses names that stand for two things, or hold a dot", () => {
    class Odd extends Module {
      constructor(first: string, second: string) {
        super();
        scope(() => this.registerBuffer(first, ones([1])));
        scope(() => this.registerParameter(second, ones([1])));
      }

      override forward(input: Tensor): Tensor {
        return input.add(this.own("absent"));
      }
    }
    const refused = (name: string) => `register in Odd: expected a new name without a dot for name, received "${name}"`;
    expect(() => new Odd("w", "w")).toThrow(refused("w"));
    expect(() => new Odd("a", "a.b")).toThrow(refused("a.b"));
    expect(() => new Odd("a", "")).toThrow(refused(""));
    using(new Odd("a", "b"), (module) =>
      expect(() => module.call(Tensor.of(1))).toThrow('Odd: expected a registered tensor, received "absent"'),
    );
  });
});

describe("watchOutputs", () => {
  it("tells of each output before its parent's, and of none afterwards or after a throw", () => {
    const network = new Sequential(new ReLU(), new Sequential(new ReLU(), new ReLU()));
    const names = new Map([...network.namedModules()].map(([name, module]) => [module, name]));
    const seen: [string | undefined, number][] = [];
    const watch = (module: Module, output: Tensor) => seen.push([names.get(module), output.sum().item()]);
    scope(() => {
      const input = Tensor.from(Float32Array.of(-1, 2));
      expect(watchOutputs(() => network.call(input).toArray(), watch)).toEqual([0, 2]);
      network.call(input);
      const failing = () => {
        throw new RangeError("no");
      };
      expect(() => watchOutputs(failing, watch)).toThrow("no");
      network.call(input);
    });
    expect(seen).toEqual(["0", "1.0", "1.1", "1", ""].map((name) => [name, 2]));
    expect([outputsAreWatched(), watchOutputs(outputsAreWatched, watch)]).toEqual([false, true]);
  });
});
