import { describe, expect, it } from "vitest";
import { TorchError, UserError } from "./errors.js";
import * as ops from "./generated/ops.js";
import { diagnoseLoadFailure, Operator } from "./native.js";
import { checkDevice, devices, getThreads, setThreads } from "./runtime.js";
import { full, ones, Tensor, zeros } from "./tensor.js";

describe("making tensors", () => {
  it("takes every typed array with its dtype and gives it back", () => {
    const arrays = [
      ["float32", Float32Array.of(1.5, -2)],
      ["float64", Float64Array.of(0.1, Number.MAX_VALUE)],
      ["int64", BigInt64Array.of(2n ** 62n, -1n)],
      ["int32", Int32Array.of(-5, 6)],
      ["int16", Int16Array.of(-5, 6)],
      ["int8", Int8Array.of(-128, 127)],
      ["uint8", Uint8Array.of(0, 255)],
    ] as const;
    for (const [dtype, array] of arrays) {
      const tensor = Tensor.from(array);
      expect(tensor.dtype).toBe(dtype);
      expect(tensor.toTypedArray()).toEqual(array);
    }
    expect(Tensor.from(Uint8Array.of(1, 0), { dtype: "bool" }).dtype).toBe("bool");
  });

  it("copies unless told to share", () => {
    const data = Float32Array.of(1, 2);
    const [copied, shared] = [Tensor.from(data), Tensor.from(data, { share: true })];
    data[0] = 9;
    expect(copied.toArray()).toEqual([1, 2]);
    expect(shared.toArray()).toEqual([9, 2]);
    shared.fill_(4);
    expect([...data]).toEqual([4, 4]);
  });

  it("refuses a shape that doesn't fit, whatever its numbers", () => {
    const data = Float32Array.of(1, 2, 3, 4);
    for (const shape of [[5], [-1, -4], [2 ** 40, 2 ** 40], [1.5]]) {
      expect(() => Tensor.from(data, { shape })).toThrow(TorchError);
    }
    expect(Tensor.from(data, { shape: [2, 2] }).toArray()).toEqual([
      [1, 2],
      [3, 4],
    ]);
  });

  it("makes empty and zero-dimensional tensors", () => {
    expect(Tensor.from(new Float32Array(0), { shape: [0, 3] }).shape).toEqual([0, 3]);
    expect(Tensor.of(5).shape).toEqual([]);
    expect(Tensor.of(5).item()).toBe(5);
    expect([zeros([2]).toArray(), ones([1, 2]).toArray(), full([2], 0.5).toArray()]).toEqual([
      [0, 0],
      [[1, 1]],
      [0.5, 0.5],
    ]);
  });
});

describe("indexing and views", () => {
  const grid = () =>
    Tensor.of([
      [1, 2, 3],
      [4, 5, 6],
    ]);

  it("sees the same memory through select, narrow and view", () => {
    const base = grid();
    base.select(0, 1).fill_(0);
    base.narrow(1, 0, 1).fill_(7);
    expect(base.view(-1).toArray()).toEqual([7, 2, 3, 7, 0, 0]);
  });

  it("permutes, transposes and selects by index", () => {
    expect(grid().transpose(0, 1).toArray()).toEqual([
      [1, 4],
      [2, 5],
      [3, 6],
    ]);
    expect(
      grid()
        .indexSelect(1, Tensor.from(BigInt64Array.of(2n, 0n)))
        .toArray(),
    ).toEqual([
      [3, 1],
      [6, 4],
    ]);
    expect(grid().sum(0).toArray()).toEqual([5, 7, 9]);
    expect(grid().mean(1, true).toArray()).toEqual([[2], [5]]);
  });

  it("gives an in-place operator's own tensor back", () => {
    const base = grid();
    expect(base.add_(1).mul_(2)).toBe(base);
    expect(ops.relu_(base)).toBe(base);
    expect(base.toArray()).toEqual([
      [4, 6, 8],
      [10, 12, 14],
    ]);
  });
});

describe("calling operators", () => {
  it("keeps an integer tensor integer for whole numbers, and not for others", () => {
    const counts = Tensor.from(Int32Array.of(1, 2));
    expect(ops.addScalar(counts, 1).dtype).toBe("int32");
    expect(ops.addScalar(counts, 0.5).dtype).toBe("float32");
  });

  it("returns several results, integers, booleans and lists", () => {
    const [values, indices] = ops.topk(Tensor.of([3, 1, 2]), 2);
    expect([values.toArray(), indices.toArray()]).toEqual([
      [3, 2],
      [0, 2],
    ]);
    expect(ops.equal(Tensor.of([1]), Tensor.of([1]))).toBe(true);
    expect(
      ops
        .unbind(
          Tensor.of([
            [1, 2],
            [3, 4],
          ]),
        )
        .map((row) => row.toArray()),
    ).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect(
      ops.convolutionBackward(
        Tensor.of([[[[1]]]]),
        Tensor.of([[[[2]]]]),
        Tensor.of([[[[3]]]]),
        null,
        [1, 1],
        [0, 0],
        [1, 1],
        false,
        [0, 0],
        1,
        [true, false, false],
      )[1],
    ).toBeNull();
  });

  it("names the operation and the argument of a wrong value", () => {
    const caught = (body: () => unknown): TorchError => {
      try {
        body();
      } catch (error) {
        if (error instanceof TorchError) return error;
      }
      throw new Error("expected a TorchError");
    };
    const view = new Operator("aten::view");
    const wrong = caught(() => view.call(Tensor.of([1]).handle, ["a"]));
    expect([wrong.kind, wrong.operation, wrong.argument]).toEqual(["argument", "aten::view", "size"]);
    expect(wrong.message).toContain('expected an integer, received "a"');
    expect(wrong.stack).toContain("tensor.test.ts");
    for (const value of [1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 60, null, {}, "1", [[1]]]) {
      expect(caught(() => view.call(Tensor.of([1]).handle, [value])).kind).toBe("argument");
    }
    expect(caught(() => view.call("x", [1])).argument).toBe("self");
    expect(caught(() => view.call(Tensor.of([1]).handle, [1], 3, 4)).message).toContain("at most 2 arguments");
    expect(caught(() => ops.matmul(ones([2, 3]), ones([2, 3]))).message).toContain("Float[2, 3]");
    expect(caught(() => new Operator("aten::no_such_operator").call()).message).toContain("has no such operator");
  });

  it("says that memory is out instead of dying", () => {
    const error = (() => {
      try {
        return zeros([2 ** 45]);
      } catch (caught) {
        return caught;
      }
    })();
    expect(error).toBeInstanceOf(TorchError);
    expect((error as TorchError).kind).toBe("memory");
  });
});

describe("the process", () => {
  it("has at least the CPU, and refuses what isn't there", () => {
    expect(devices()[0]).toBe("cpu");
    expect(checkDevice("cpu")).toBe("cpu");
    expect(() => checkDevice("cuda:77")).toThrow(UserError);
  });

  it("sets the thread count within bounds", () => {
    const before = getThreads();
    setThreads(1);
    expect(getThreads()).toBe(1);
    setThreads(before);
    for (const threads of [0, 1.5, -2, 100_000]) expect(() => setThreads(threads)).toThrow(UserError);
  });
});

describe("an addon that can't be loaded", () => {
  const here = new URL(import.meta.url).pathname;
  it.each([
    ["not built", "/nowhere/torch.node", "Cannot find module", "build it with `npm run build`"],
    [
      "without libtorch",
      here,
      "libtorch_cpu.so.1.13: cannot open shared object file: No such file",
      "install libtorch",
    ],
    ["of another ABI", here, "undefined symbol: _ZN2at4_ops3add", "build it again"],
    [
      "of another Node",
      here,
      "was compiled against a different Node.js version using NODE_MODULE_VERSION 93",
      "build it again",
    ],
  ])("%s names cause and cure", (_, path, message, cure) => {
    const error = diagnoseLoadFailure(message, path);
    expect(error).toBeInstanceOf(UserError);
    expect(error.message).toContain(message);
    expect(error.message).toContain(cure);
  });
});
