import { describe, expect, it } from "vitest";
import { TorchError } from "./errors.js";
import { type Handle, native, Operator } from "./native.js";
import { scope } from "./scope.js";
import { Tensor } from "./tensor.js";

/** Calls an operator by name; tensors may stand for their handles, and come back as tensors. */
function call(name: string, ...args: unknown[]): unknown {
  return fromHandles(new Operator(name).call(...args.map(toHandles)));
}

function toHandles(value: unknown): unknown {
  if (value instanceof Tensor) return value.handle;
  return Array.isArray(value) ? value.map(toHandles) : value;
}

function fromHandles(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(fromHandles);
  const isHandle = typeof value === "object" && value !== null;
  return isHandle ? new Tensor(value as Handle) : value;
}

/** What an operator gives, its tensors as nested arrays. */
function resultOf(name: string, ...args: unknown[]): unknown {
  const plain = (value: unknown): unknown => {
    if (value instanceof Tensor) return value.toArray();
    return Array.isArray(value) ? value.map(plain) : value;
  };
  return scope(() => plain(call(name, ...args)));
}

/** The TorchError's message after the operator's name. */
function refusal(name: string, ...args: unknown[]): string {
  try {
    scope(() => void call(name, ...args));
  } catch (error) {
    if (error instanceof TorchError) return error.message.slice(name.length + 2);
    throw error;
  }
  throw new Error(`${name} refused nothing`);
}

const t = (...values: number[]) => Tensor.of(values);

/** Runs a test's body in a scope, so that its tensors are freed. */
function tensors(body: () => void): () => void {
  return () => scope(body);
}

describe("an argument", () => {
  it(
    "of type Tensor is a live handle",
    tensors(() => {
      expect(resultOf("aten::add.Tensor", t(1, 2), t(10, 20))).toEqual([11, 22]);
      for (const [wrong, received] of [
        [3, "3"],
        [null, "null"],
        [undefined, "undefined"],
        [{}, "an object"],
        [[t(1)], "[float32[1]]"],
        ["x", '"x"'],
      ]) {
        expect(refusal("aten::add.Tensor", t(1), wrong)).toBe(
          `expected a Tensor for 'other' (Tensor), received ${received}`,
        );
      }
    }),
  );

  it(
    "of type Tensor? is a handle, null, or left out",
    tensors(() => {
      const [input, weight] = [Tensor.of([[1, 2]]), Tensor.of([[3, 4]])];
      for (const none of [null, undefined]) expect(resultOf("aten::linear", input, weight, none)).toEqual([[11]]);
      expect(resultOf("aten::linear", input, weight, t(0.5))).toEqual([[11.5]]);
      expect(refusal("aten::linear", input, weight, 1)).toBe("expected a Tensor for 'bias' (Tensor?), received 1");
    }),
  );

  it(
    "of type Tensor[] is an array of handles, and the wrong one is named",
    tensors(() => {
      expect(resultOf("aten::cat", [t(1), t(2, 3)])).toEqual([1, 2, 3]);
      expect(refusal("aten::cat", [t(1), null])).toBe("expected a Tensor for 'tensors[1]' (Tensor[]), received null");
      expect(refusal("aten::cat", t(1))).toBe("expected an array for 'tensors' (Tensor[]), received float32[1]");
      expect(refusal("aten::cat", [])).toContain("expected a non-empty list of Tensors");
    }),
  );

  it(
    "of type Tensor?[] may hold null",
    tensors(() => {
      const matrix = Tensor.of([
        [1, 2, 3],
        [4, 5, 6],
      ]);
      const columns = Tensor.of([2, 0], { dtype: "int64" });
      expect(resultOf("aten::index.Tensor", matrix, [null, columns])).toEqual([
        [3, 1],
        [6, 4],
      ]);
      expect(refusal("aten::index.Tensor", matrix, [0])).toBe(
        "expected a Tensor for 'indices[0]' (Tensor?[]), received 0",
      );
    }),
  );

  it(
    "of type int is a whole number or a BigInt, never rounded",
    tensors(() => {
      const vector = t(5, 6, 7);
      for (const last of [2, 2n, -1]) expect(resultOf("aten::select.int", vector, 0, last)).toBe(7);
      expect(resultOf("aten::select.int", vector, -0, 0)).toBe(5);
      for (const wrong of [0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
        expect(refusal("aten::select.int", vector, 0, wrong)).toBe(
          `expected an integer (beyond 2^53 - 1 a BigInt) for 'index' (int), received ${wrong}`,
        );
      }
      expect(refusal("aten::select.int", vector, 0, 2n ** 63n)).toContain("expected an integer of 64 bits");
      expect(refusal("aten::select.int", vector, 0, true)).toContain("expected an integer for 'index' (int)");
      expect(refusal("aten::select.int", vector, 0, 2n ** 62n)).toContain("index 4611686018427387904 out of range");
    }),
  );

  it(
    "of type int[] is an array; one of fixed length takes a single integer for all",
    tensors(() => {
      expect(resultOf("aten::view", t(1, 2), [2, -1])).toEqual([[1], [2]]);
      expect(resultOf("aten::view", t(1), [])).toBe(1);
      const image = Tensor.of([
        [
          [
            [1, 2],
            [3, 4],
          ],
        ],
      ]);
      for (const size of [2, 2n, [2, 2]]) expect(resultOf("aten::avg_pool2d", image, size)).toEqual([[[[2.5]]]]);
      expect(refusal("aten::view", t(1, 2), 2)).toBe("expected an array for 'size' (int[]), received 2");
      expect(refusal("aten::view", t(1, 2), [1, "2"])).toBe(
        "expected an integer for 'size[1]' (int[]), received \"2\"",
      );
    }),
  );

  it(
    "of type SymInt[2] and float? takes plain numbers",
    tensors(() => {
      const image = Tensor.of([[[[1, 2]]]]);
      expect(resultOf("aten::upsample_nearest2d", image, [1, 4], null, 2)).toEqual([[[[1, 1, 2, 2]]]]);
      expect(resultOf("aten::upsample_nearest2d", image, [1, 4])).toEqual([[[[1, 1, 2, 2]]]]);
    }),
  );

  it(
    "of type float is any number, NaN, infinities and -0 too",
    tensors(() => {
      const odd = t(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY);
      expect(resultOf("aten::nan_to_num", odd, 0.5, Number.NaN, Number.POSITIVE_INFINITY)).toEqual([
        0.5,
        Number.NaN,
        Number.POSITIVE_INFINITY,
      ]);
      expect(resultOf("aten::nan_to_num", odd, -0, 1, 2)).toEqual([-0, 1, 2]);
      expect(refusal("aten::nan_to_num", odd, "0")).toBe("expected a number for 'nan' (float?), received \"0\"");
    }),
  );

  it(
    "of type float[] and int[]? is an array of numbers, or none",
    tensors(() => {
      expect(resultOf("aten::_test_optional_floatlist", t(1, 2), [0.5, -1.5])).toEqual([1.5, 0.5]);
      expect(resultOf("aten::_test_optional_floatlist", t(1, 2), null)).toEqual([1, 2]);
      const integers = Tensor.of([1, 2], { dtype: "int32" });
      expect(resultOf("aten::_test_optional_intlist", integers, [10, 20])).toEqual([11, 22]);
      expect(refusal("aten::_test_optional_floatlist", t(1), [null])).toBe(
        "expected a number for 'addends[0]' (float[]?), received null",
      );
    }),
  );

  it(
    "of type bool is a boolean, not a number",
    tensors(() => {
      expect(resultOf("aten::mean.dim", t(1, 3), [0], true)).toEqual([2]);
      expect(refusal("aten::mean.dim", t(1, 3), [0], 1)).toBe("expected a boolean for 'keepdim' (bool), received 1");
    }),
  );

  it(
    "of type Scalar keeps integers integers, and takes fractions, NaN, infinities, -0, booleans and BigInts",
    tensors(() => {
      const integer = Tensor.of([1], { dtype: "int64" });
      const sum = call("aten::add.Scalar", integer, 2) as Tensor;
      expect([sum.dtype, sum.toArray()]).toEqual(["int64", [3]]);
      expect((call("aten::add.Scalar", integer, 0.5) as Tensor).dtype).toBe("float32");
      expect((call("aten::add.Scalar", integer, 2n ** 62n) as Tensor).toTypedArray()[0]).toBe(2n ** 62n + 1n);
      for (const value of [Number.NaN, Number.NEGATIVE_INFINITY, -0, 2 ** 53]) {
        expect(resultOf("aten::full", [1], value, "float64")).toEqual([value]);
      }
      expect(resultOf("aten::full", [1], true)).toEqual([1]);
      expect((call("aten::full", [1], true) as Tensor).dtype).toBe("bool");
      expect(refusal("aten::full", [1], "1")).toContain("expected a number or a boolean for 'fill_value'");
      expect(refusal("aten::full", [1], 2n ** 64n)).toContain("expected an integer of 64 bits for 'fill_value'");
    }),
  );

  it(
    "of type Scalar? leaves a side open when it is null",
    tensors(() => {
      expect(resultOf("aten::clamp", t(-1, 5), null, 2)).toEqual([-1, 2]);
      expect(resultOf("aten::clamp", t(-1, 5), 0)).toEqual([0, 5]);
    }),
  );

  it("of type ScalarType is a name", () => {
    scope(() => {
      for (const dtype of ["uint8", "int8", "int16", "int32", "int64", "float32", "float64", "bool"]) {
        expect((call("aten::zeros", [1], dtype) as Tensor).dtype).toBe(dtype);
      }
      expect((call("aten::zeros", [1], null) as Tensor).dtype).toBe("float32");
    });
    expect(refusal("aten::zeros", [1], "float")).toBe(
      'expected the name of an element type such as "float32" for \'dtype\' (ScalarType?), received "float"',
    );
    expect(refusal("aten::zeros", [1], 99)).toContain("'dtype' (ScalarType?), received 99");
  });

  it("of type Device is a name", () => {
    scope(() => expect((call("aten::zeros", [1], null, null, "cpu") as Tensor).device).toBe("cpu"));
    for (const wrong of ["", "gpu", "cuda:x", "cpu:-1", 0]) {
      expect(refusal("aten::zeros", [1], null, null, wrong)).toContain(
        'expected a device such as "cpu" or "cuda:0" for \'device\' (Device?), received',
      );
    }
  });

  it(
    "of type str and str? is a string",
    tensors(() => {
      expect(resultOf("aten::einsum", "i,i->", [t(1, 2), t(3, 4)])).toBe(11);
      expect(resultOf("aten::div.Tensor_mode", t(7), t(2), "floor")).toEqual([3]);
      expect(resultOf("aten::div.Tensor_mode", t(7), t(2), null)).toEqual([3.5]);
      expect(refusal("aten::einsum", 5, [])).toBe("expected a string for 'equation' (str), received 5");
      expect(refusal("aten::div.Tensor_mode", t(7), t(2), "x")).toContain("but found 'x'");
    }),
  );

  it(
    "of type MemoryFormat is a name, of type Layout a number that stands for one",
    tensors(() => {
      const image = call("aten::zeros", [1, 2, 3, 4]);
      const strides = (tensor: unknown) => [0, 1, 2, 3].map((dim) => call("aten::stride.int", tensor, dim));
      expect(strides(image)).toEqual([24, 12, 4, 1]);
      expect(strides(call("aten::clone", image, "channelsLast"))).toEqual([24, 1, 8, 2]);
      expect(refusal("aten::clone", image, "nhwc")).toBe(
        'expected "contiguous", "preserve" or "channelsLast" for \'memory_format\' (MemoryFormat?), received "nhwc"',
      );
      expect(refusal("aten::clone", image, 99)).toContain("'memory_format' (MemoryFormat?), received 99");
      expect(refusal("aten::zeros", [1], null, 99)).toContain("'layout' (Layout?), received 99");
    }),
  );

  it("of a type without a JavaScript form can only be left out", () => {
    expect(resultOf("aten::zeros", [1])).toEqual([0]);
    scope(() => expect((call("aten::rand.generator", [2], null) as Tensor).shape).toEqual([2]));
    expect(refusal("aten::rand.generator", [2], {})).toBe(
      "expected nothing (a type without a JavaScript form) for 'generator' (Generator?), received an object",
    );
  });

  it(
    "that is left out takes the schema's default, and is refused where there is none",
    tensors(() => {
      expect(resultOf("aten::softmax.int", t(0, 0), 0)).toEqual([0.5, 0.5]);
      expect(resultOf("aten::add.Tensor", t(1), t(2), undefined)).toEqual([3]);
      expect(refusal("aten::add.Tensor", t(1))).toBe("expected a Tensor for 'other' (Tensor), received undefined");
      expect(refusal("aten::neg", t(1), 2, 3)).toBe("expected at most 1 arguments, received 3");
    }),
  );

  it(
    "is shown short in an error, however long or deep it is",
    tensors(() => {
      const endless: unknown[] = [];
      endless.push(endless);
      expect(() => new Operator("aten::neg").call(endless)).toThrow("received [[[…]]]");
      expect(refusal("aten::neg", Array(20).fill(0))).toContain("received [0, 0, 0, 0, 0, 0, 0, 0, …]");
      expect(refusal("aten::neg", "é\n".repeat(100))).toBe(
        `expected a Tensor for 'self' (Tensor), received "${"é?".repeat(20)}…"`,
      );
      expect(refusal("aten::neg", Symbol("s"))).toContain("received a symbol");
      expect(refusal("aten::neg", () => 0)).toContain("received a function");
      expect(refusal("aten::neg", 5n)).toContain("received 5n");
    }),
  );

  it("that throws when it is read leaves its own error", () => {
    const list = [1, 2];
    Object.defineProperty(list, 1, {
      get: () => {
        throw new RangeError("mine");
      },
    });
    expect(() => call("aten::zeros", list)).toThrow(new RangeError("mine"));
  });
});

describe("a returned value", () => {
  it(
    "is a tensor, an array of several, a list, or nothing",
    tensors(() => {
      expect(resultOf("aten::max.dim", t(3, 9, 4), 0)).toEqual([9, 1]);
      expect(resultOf("aten::split.Tensor", t(1, 2, 3), 2)).toEqual([[1, 2], [3]]);
      const list = [t(1), t(2)];
      expect(call("aten::_foreach_add_.ScalarList", list, [10, 0.5])).toBeUndefined();
      expect(list.map((tensor) => tensor.toArray())).toEqual([[11], [2.5]]);
    }),
  );

  it(
    "is null for a tensor that was not asked for",
    tensors(() => {
      const ones = Tensor.of([[[[1]]]]);
      const arguments_ = [ones, ones, ones, null, [1, 1], [0, 0], [1, 1], false, [0, 0], 1];
      expect(resultOf("aten::convolution_backward", ...arguments_, [true, false, false])).toEqual([
        [[[[1]]]],
        null,
        null,
      ]);
    }),
  );

  it(
    "is a number, a boolean or a name; beyond 2^53 a BigInt",
    tensors(() => {
      expect(call("aten::stride.int", t(1, 2), 0)).toBe(1);
      expect(call("aten::equal", t(1), t(1))).toBe(true);
      expect(call("aten::promote_types", "int64", "float32")).toBe("float32");
      expect(call("aten::_local_scalar_dense", Tensor.of([0.1], { dtype: "float64" }))).toBe(0.1);
      const wide = Tensor.from(BigInt64Array.of(2n ** 53n, -(2n ** 63n), 2n ** 53n - 1n));
      const values = [0, 1, 2].map((i) => call("aten::_local_scalar_dense", wide.select(0, i)));
      expect(values).toEqual([2n ** 53n, -(2n ** 63n), 2 ** 53 - 1]);
    }),
  );

  it("is refused where JavaScript has no form for it", () => {
    scope(() => {
      const complex = call("aten::complex", t(1), t(2));
      expect(refusal("aten::_local_scalar_dense", complex)).toContain("has no JavaScript form");
    });
  });

  it(
    "is the very handle that an in-place operator was given",
    tensors(() => {
      const { handle } = t(1);
      expect(new Operator("aten::mul_.Scalar").call(handle, 3)).toBe(handle);
    }),
  );
});

describe("an operator", () => {
  it("that this libtorch has not is named in the error", () => {
    expect(() => new Operator("aten::no_such").call()).toThrow(
      `aten::no_such: libtorch ${native().version()} has no such operator`,
    );
    for (const name of ["", "add", "::", "aten::add.NoOverload"]) {
      expect(() => new Operator(name).handle).toThrow(TorchError);
    }
  });

  it("tells its schema", () => {
    expect(new Operator("aten::relu").schema).toBe("aten::relu(Tensor self) -> Tensor");
  });
});
