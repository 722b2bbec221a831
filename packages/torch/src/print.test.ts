import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { native, Operator } from "./native.js";
import { scope } from "./scope.js";
import { full, ones, Tensor } from "./tensor.js";

/** What a tensor prints as. */
const printed = (make: () => Tensor) => scope(() => make().toString());

describe("a tensor prints", () => {
  it("its dtype, shape and values, in four digits", () => {
    const matrix = [
      [1, 1 / 3],
      [-1e-10, 123456.7],
    ];
    expect(printed(() => Tensor.of(matrix))).toBe("Tensor(float32[2, 2], [[1, 0.3333], [-1e-10, 123500]])");
    expect(printed(() => Tensor.of([-0, Number.NaN, Number.NEGATIVE_INFINITY]))).toBe(
      "Tensor(float32[3], [-0, NaN, -Infinity])",
    );
  });

  it("integers in full, booleans as words", () => {
    expect(printed(() => Tensor.from(BigInt64Array.of(-(2n ** 63n))))).toBe("Tensor(int64[1], [-9223372036854775808])");
    expect(printed(() => Tensor.of([1, 0], { dtype: "bool" }))).toBe("Tensor(bool[2], [true, false])");
  });

  it("without dimensions, without elements, and without values when there are many", () => {
    expect(printed(() => Tensor.of(2.5))).toBe("Tensor(float32[], 2.5)");
    expect(printed(() => ones([2, 0]))).toBe("Tensor(float32[2, 0], [[], []])");
    expect(printed(() => full([101], 7))).toBe("Tensor(float32[101])");
    expect(printed(() => full([2, 2], 7).requireGrad())).toBe("Tensor(float32[2, 2], [[7, 7], [7, 7]])");
  });

  it("that it was disposed of", () => {
    const tensor = ones([1]);
    tensor.dispose();
    expect(String(tensor)).toBe("Tensor(disposed)");
  });

  it("its type alone where its values can't be read", () => {
    const half = native().call(new Operator("aten::zeros").handle, [2], "float16");
    expect(printed(() => new Tensor(half as never))).toBe("Tensor(float16[2])");
  });

  it("the same in console.log", () => {
    scope(() => expect(inspect({ weight: Tensor.of([1]) })).toBe("{ weight: Tensor(float32[1], [1]) }"));
  });
});
