import { runInNewContext } from "node:vm";
import { UserError } from "@peekaboo/files/errors";
import { describe, expect, it } from "vitest";
import type { TypedArray } from "./dtype.js";
import { TorchError } from "./errors.js";
import { native, Operator } from "./native.js";
import { scope } from "./scope.js";
import { full, ones, Tensor, zeros } from "./tensor.js";

/** A test whose tensors are freed. */
function test(name: string, body: () => void): void {
  it(name, () => scope(body));
}

const matrix = () =>
  Tensor.of([
    [1, 2, 3],
    [4, 5, 6],
  ]);

describe("Tensor.from", () => {
  const arrays: [string, TypedArray][] = [
    ["float32", Float32Array.of(1.5, -0, Number.NaN)],
    ["float64", Float64Array.of(Math.PI, Number.MIN_VALUE, Number.NEGATIVE_INFINITY)],
    ["int64", BigInt64Array.of(2n ** 63n - 1n, -(2n ** 63n), 0n)],
    ["int32", Int32Array.of(2 ** 31 - 1, -(2 ** 31), 0)],
    ["int16", Int16Array.of(32767, -32768, 0)],
    ["int8", Int8Array.of(127, -128, 0)],
    ["uint8", Uint8Array.of(255, 0, 1)],
  ];

  it.each(arrays)("keeps every bit of %s", (dtype, array) => {
    scope(() => {
      const tensor = Tensor.from(array);
      expect([tensor.dtype, tensor.shape, tensor.device]).toEqual([dtype, [3], "cpu"]);
      expect(tensor.toTypedArray()).toEqual(array);
      expect(Object.is(tensor.toTypedArray()[1], array[1])).toBe(true);
    });
  });

  test("copies, and reads a subarray from its own offset", () => {
    const array = Float32Array.of(1, 2, 3, 4);
    const tensor = Tensor.from(array.subarray(1, 3));
    array.fill(0);
    expect(tensor.toArray()).toEqual([2, 3]);
  });

  test("gives the shape, dtype and gradient that are asked for", () => {
    const tensor = Tensor.from(Uint8Array.of(0, 1, 2, 3), { shape: [2, 2], dtype: "float64", requiresGrad: true });
    expect([tensor.shape, tensor.dtype, tensor.requiresGrad]).toEqual([[2, 2], "float64", true]);
    expect(tensor.toArray()).toEqual([
      [0, 1],
      [2, 3],
    ]);
  });

  test("makes 0 and 1 of any bytes for bool", () => {
    const flags = Tensor.from(Uint8Array.of(0, 1, 255), { dtype: "bool" });
    expect([flags.dtype, flags.toTypedArray()]).toEqual(["bool", Uint8Array.of(0, 1, 1)]);
  });

  test("takes no elements, and one without dimensions", () => {
    expect(Tensor.from(new Float32Array(0)).shape).toEqual([0]);
    expect(Tensor.from(new Float32Array(0), { shape: [3, 0] }).toArray()).toEqual([[], [], []]);
    const single = Tensor.from(Float32Array.of(5), { shape: [] });
    expect([single.shape, single.rank, single.numel, single.toArray(), single.item()]).toEqual([[], 0, 1, 5, 5]);
  });

  test("takes an array of another realm, and refuses classes without an element type", () => {
    expect(Tensor.from(runInNewContext("Float32Array.of(1, 2)") as Float32Array).toArray()).toEqual([1, 2]);
    for (const wrong of [new Uint16Array(1), new DataView(new ArrayBuffer(4)), [1, 2]]) {
      expect(() => Tensor.from(wrong as never)).toThrow(UserError);
    }
    expect(() => Tensor.from(new Uint16Array(1) as never)).toThrow(
      "make a tensor: expected one of Uint8Array, Int8Array, Int16Array, Int32Array, BigInt64Array, Float32Array, Float64Array for data, received Uint16Array.",
    );
  });

  test("refuses a shape that does not fit", () => {
    const from = (shape: number[]) => () => Tensor.from(new Float32Array(4), { shape });
    expect(from([3])).toThrow(TorchError);
    expect(from([3])).toThrow("fromBytes: expected 12 bytes for this shape and dtype, received 16");
    expect(from([-1])).toThrow("for 'shape[0]', received -1");
    expect(from([0.5])).toThrow("for 'shape[0]', received 0.5");
  });
});

describe("Tensor.of", () => {
  test("takes nested arrays as deep as they are", () => {
    expect(Tensor.of(3).shape).toEqual([]);
    expect(Tensor.of([[[1], [2]]]).shape).toEqual([1, 2, 1]);
    expect(Tensor.of([[], []]).shape).toEqual([2, 0]);
    expect(Tensor.of([1, 2], { dtype: "int64" }).toTypedArray()).toEqual(BigInt64Array.of(1n, 2n));
  });

  test("refuses arrays of different lengths, even where the numbers add up", () => {
    expect(() => Tensor.of([[1, 2], [3], [4, 5, 6]])).toThrow(
      "Tensor.of: expected an array of 2, as its first neighbour is for values[1], received an array of 1.",
    );
    expect(() => Tensor.of([1, [2]])).toThrow("expected a number for values[1], received an array of 1");
    expect(() => Tensor.of([[1], 2])).toThrow("for values[1], received 2");
  });
});

describe("zeros, ones and full", () => {
  test("are float32 unless told otherwise", () => {
    expect([zeros([2]), ones([2]), full([2], 3)].map((tensor) => [tensor.dtype, tensor.toArray()])).toEqual([
      ["float32", [0, 0]],
      ["float32", [1, 1]],
      ["float32", [3, 3]],
    ]);
    expect(full([1], 3, { dtype: "int32" }).toTypedArray()).toEqual(Int32Array.of(3));
  });
});

describe("a tensor tells", () => {
  test("its shape, which can't be changed", () => {
    const { shape } = matrix();
    expect(shape).toEqual([2, 3]);
    expect(() => (shape as number[]).push(1)).toThrow(TypeError);
  });

  test("the size of a dimension, from either end", () => {
    expect([matrix().size(0), matrix().size(-1)]).toEqual([2, 3]);
    for (const dim of [2, -3, 0.5]) {
      expect(() => matrix().size(dim)).toThrow(`size: expected a dimension of [2, 3] for dim, received ${dim}.`);
    }
  });

  test("a dtype that JavaScript has no array for in an error", () => {
    const half = new Tensor(native().call(new Operator("aten::zeros").handle, [1], "bfloat16") as never);
    expect(() => half.dtype).toThrow("received bfloat16; JavaScript has no array for it: convert the tensor first.");
    expect(half.shape).toEqual([1]);
  });
});

describe("the elements", () => {
  test("come row-major from any layout", () => {
    const transposed = matrix().t();
    expect(transposed.toTypedArray()).toEqual(Float32Array.of(1, 4, 2, 5, 3, 6));
    expect(matrix().expand(2, 2, 3).toTypedArray()).toHaveLength(12);
    expect(matrix().requireGrad().toArray()).toEqual([
      [1, 2, 3],
      [4, 5, 6],
    ]);
  });

  test("are copied into an array that is there, if it fits", () => {
    const target = new Float32Array(4).fill(9);
    expect(Tensor.of([1, 2]).copyInto(target.subarray(1, 3))).toEqual(Float32Array.of(1, 2));
    expect(target).toEqual(Float32Array.of(9, 1, 2, 9));
    expect(Tensor.of([1, 0], { dtype: "bool" }).copyInto(new Uint8Array(2))).toEqual(Uint8Array.of(1, 0));
    for (const wrong of [new Float32Array(3), new Int32Array(2)]) {
      expect(() => Tensor.of([1, 2]).copyInto(wrong)).toThrow(
        `copy a tensor's elements: expected a Float32Array of 2 elements for target, received a ${wrong[Symbol.toStringTag]} of ${wrong.length}.`,
      );
    }
  });

  test("are numbers, or refused where none is exact", () => {
    const [exact, wide] = [2n ** 53n - 1n, 2n ** 53n].map((value) => Tensor.from(BigInt64Array.of(value)));
    expect([exact?.item(), exact?.toArray()]).toEqual([2 ** 53 - 1, [2 ** 53 - 1]]);
    for (const read of [() => wide?.item(), () => wide?.toArray()]) {
      expect(read).toThrow("received 9007199254740992; read it with toTypedArray().");
    }
    expect(Tensor.of([1], { dtype: "bool" }).item()).toBe(1);
    expect(() => matrix().item()).toThrow("item: a Tensor with 6 elements cannot be converted to Scalar");
    expect(wide?.toFloat32Array()).toEqual(Float32Array.of(2 ** 53));
  });
});

describe("views", () => {
  test("share their tensor's memory", () => {
    const base = matrix();
    const views = [
      base.view(3, 2),
      base.reshape(-1),
      base.flatten(),
      base.permute(1, 0),
      base.transpose(0, 1),
      base.unsqueeze(0),
      base.unsqueeze(0).squeeze(0),
      base.expand(2, 2, 3),
      base.select(1, 0),
      base.narrow(1, 0, 2),
      base.slice(1, 0, 3, 2),
      base.detach(),
    ];
    base.fill_(7);
    for (const view of views) expect(new Set(view.toFloat32Array())).toEqual(new Set([7]));
  });

  test("have the elements and shapes that they are named for", () => {
    expect(matrix().select(1, -1).toArray()).toEqual([3, 6]);
    expect(matrix().narrow(1, 1, 2).toArray()).toEqual([
      [2, 3],
      [5, 6],
    ]);
    expect(matrix().slice(1, -3, 3, 2).toArray()).toEqual([
      [1, 3],
      [4, 6],
    ]);
    expect(matrix().unsqueeze(1).shape).toEqual([2, 1, 3]);
    expect(matrix().flatten(0, 0).shape).toEqual([2, 3]);
    expect(() => matrix().view(4)).toThrow("aten::view: shape '[4]' is invalid for input of size 6");
  });

  test("outlive the tensor that they were made of", () => {
    const base = matrix();
    const view = base.select(0, 1);
    base.dispose();
    expect(view.toArray()).toEqual([4, 5, 6]);
  });
});

describe("indexing", () => {
  const index = (...values: number[]) => Tensor.of(values, { dtype: "int64" });

  test("picks by integers, by masks, and along a dimension", () => {
    expect(matrix().indexSelect(1, index(2, 0)).toArray()).toEqual([
      [3, 1],
      [6, 4],
    ]);
    expect(
      matrix()
        .index([null, index(2)])
        .toArray(),
    ).toEqual([[3], [6]]);
    expect(
      matrix()
        .index([matrix().gt(3)])
        .toArray(),
    ).toEqual([4, 5, 6]);
    expect(
      matrix()
        .gather(1, Tensor.of([[0], [2]], { dtype: "int64" }))
        .toArray(),
    ).toEqual([[1], [6]]);
    expect(matrix().maskedSelect(matrix().eq(2)).toArray()).toEqual([2]);
    expect(() => matrix().index([index(5)])).toThrow("index 5 is out of bounds");
  });

  test("fills where a mask holds", () => {
    const mask = matrix().gt(4);
    expect(matrix().maskedFill(mask, 0).toArray()).toEqual([
      [1, 2, 3],
      [4, 0, 0],
    ]);
    expect(matrix().maskedFill_(mask, -1).sum().item()).toBe(8);
  });
});

describe("arithmetic", () => {
  const pair = () => [Tensor.of([6, 8]), Tensor.of([2, 4])] as const;

  test("takes tensors and numbers", () => {
    const [a, b] = pair();
    expect([a.add(b), a.sub(b), a.mul(b), a.div(b)].map((tensor) => tensor.toArray())).toEqual([
      [8, 12],
      [4, 4],
      [12, 32],
      [3, 2],
    ]);
    expect([a.add(2), a.sub(2), a.mul(2), a.div(2)].map((tensor) => tensor.toArray())).toEqual([
      [8, 10],
      [4, 6],
      [12, 16],
      [3, 4],
    ]);
  });

  test("in place writes to the tensor and returns it", () => {
    const [a, b] = pair();
    expect(a.add_(b, 0.5).sub_(b).mul_(b).div_(b)).toBe(a);
    expect(a.toArray()).toEqual([5, 6]);
    expect(a.add_(1).sub_(2).mul_(3).div_(4).toArray()).toEqual([3, 3.75]);
    expect(a.copy_(Tensor.of(9)).toArray()).toEqual([9, 9]);
    expect(a.clamp_(null, 4).fill_(3).zero_().toArray()).toEqual([0, 0]);
  });

  test("keeps integers integers with whole numbers", () => {
    const integers = Tensor.of([1, 2], { dtype: "int64" });
    expect([integers.add(1).dtype, integers.mul(0.5).dtype, integers.div(2).dtype]).toEqual([
      "int64",
      "float32",
      "float32",
    ]);
  });

  test("of single tensors equals what it is named for", () => {
    const values = [-1.5, 0, 4];
    const x = Tensor.of(values, { dtype: "float64" });
    const table: [Tensor, (value: number) => number][] = [
      [x.neg(), (v) => 0 - v],
      [x.abs(), Math.abs],
      [x.sign(), Math.sign],
      [x.square(), (v) => v * v],
      [x.pow(3), (v) => v ** 3],
      [x.exp(), Math.exp],
      [x.round(), (v) => (v === -1.5 ? -2 : v)],
      [x.clamp(-1, 2), (v) => Math.min(Math.max(v, -1), 2)],
      [x.clamp(null, 2), (v) => Math.min(v, 2)],
      [x.relu(), (v) => Math.max(v, 0)],
      [x.sigmoid(), (v) => 1 / (1 + Math.exp(-v))],
      [x.tanh(), Math.tanh],
      [x.abs().sqrt(), (v) => Math.sqrt(Math.abs(v))],
      [x.abs().log(), (v) => Math.log(Math.abs(v))],
    ];
    for (const [tensor, of] of table) {
      const expected = values.map(of);
      for (const [i, value] of [...(tensor.toTypedArray() as Float64Array)].entries()) {
        if (Number.isFinite(expected[i])) expect(value).toBeCloseTo(expected[i] ?? 0, 14);
        else expect(value).toBe(expected[i]);
      }
    }
  });

  test("multiplies matrices", () => {
    expect(matrix().matmul(matrix().t()).toArray()).toEqual([
      [14, 32],
      [32, 77],
    ]);
  });

  test("compares, with tensors and numbers", () => {
    const [a, b] = [Tensor.of([1, 2, 3]), Tensor.of([2, 2, 2])];
    const bits = (compare: "eq" | "ne" | "gt" | "ge" | "lt" | "le") => [
      a[compare](b).toArray(),
      a[compare](2).toArray(),
    ];
    expect(bits("eq")).toEqual([
      [0, 1, 0],
      [0, 1, 0],
    ]);
    expect(bits("ne")).toEqual([
      [1, 0, 1],
      [1, 0, 1],
    ]);
    expect(bits("gt")).toEqual([
      [0, 0, 1],
      [0, 0, 1],
    ]);
    expect(bits("ge")).toEqual([
      [0, 1, 1],
      [0, 1, 1],
    ]);
    expect(bits("lt")).toEqual([
      [1, 0, 0],
      [1, 0, 0],
    ]);
    expect(bits("le")).toEqual([
      [1, 1, 0],
      [1, 1, 0],
    ]);
  });
});

describe("reductions", () => {
  test("go over all elements, or over dimensions, kept or not", () => {
    const x = matrix();
    expect([x.sum(), x.mean(), x.max(), x.min()].map((tensor) => tensor.item())).toEqual([21, 3.5, 6, 1]);
    expect(x.sum(0).toArray()).toEqual([5, 7, 9]);
    expect(x.sum([0, 1], true).toArray()).toEqual([[21]]);
    expect(x.mean(1, true).toArray()).toEqual([[2], [5]]);
    expect([x.argmax(1).toArray(), x.argmin(1).toArray()]).toEqual([
      [2, 2],
      [0, 0],
    ]);
  });

  test("measure spread with n - 1, or n", () => {
    expect(matrix().variance(1).toArray()).toEqual([1, 1]);
    expect(matrix().variance(null, { unbiased: false }).item()).toBeCloseTo(35 / 12, 6);
    expect(matrix().std(0, { keepDim: true }).toArray()).toEqual([
      [4.5, 4.5, 4.5].map((v) => Math.fround(Math.sqrt(v))),
    ]);
    expect([Tensor.of([3, -4]).norm().item(), Tensor.of([3, -4]).norm(1).item()]).toEqual([5, 7]);
  });

  test("make probabilities", () => {
    const p = Tensor.of([0, Math.log(3)]);
    expect(p.softmax(0).toFloat32Array()[1]).toBeCloseTo(0.75, 6);
    expect(p.logSoftmax(0).toFloat32Array()[0]).toBeCloseTo(Math.log(0.25), 6);
  });
});

describe("to", () => {
  test("converts, and is the tensor itself when nothing changes", () => {
    const x = Tensor.of([1.9, -1.9]);
    expect(x.to({ dtype: "float32", device: "cpu" })).toBe(x);
    expect(x.to({ dtype: "int32" }).toTypedArray()).toEqual(Int32Array.of(1, -1));
    expect(() => x.to({ dtype: "half" as never })).toThrow("for 'dtype' (ScalarType), received \"half\"");
  });
});

describe("become", () => {
  test("changes a tensor for whoever holds it, and uses the other up", () => {
    const holder = { weight: Tensor.of([1, 2, 3]) };
    const { weight } = holder;
    const other = Tensor.of([[4.5]], { dtype: "float64" });
    expect(weight.become(other)).toBe(weight);
    expect([holder.weight.dtype, holder.weight.shape, holder.weight.toArray()]).toEqual(["float64", [1, 1], [[4.5]]]);
    expect(other.isDisposed).toBe(true);
    expect(weight.become(weight).isDisposed).toBe(false);
  });
});

describe("dispose", () => {
  it("can be repeated, and everything else then refuses", () => {
    const tensor = ones([1]);
    tensor.dispose();
    tensor.dispose();
    const uses: (() => unknown)[] = [
      () => tensor.shape,
      () => tensor.dtype,
      () => tensor.device,
      () => tensor.item(),
      () => tensor.toArray(),
      () => tensor.grad,
      () => tensor.requireGrad(),
      () => tensor.backward(),
      () => tensor.add(1),
      () => tensor.view(1),
    ];
    for (const use of uses) expect(use).toThrow(/expected a live Tensor .* received one that was disposed of/);
    expect(tensor.isDisposed).toBe(true);
  });
});
