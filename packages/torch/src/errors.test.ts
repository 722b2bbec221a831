import { describe, expect, it } from "vitest";
import { TorchError } from "./errors.js";
import * as ops from "./generated/ops.js";
import { scope } from "./scope.js";
import { Tensor } from "./tensor.js";

/** What `body` throws. */
function thrown(body: () => unknown): unknown {
  try {
    body();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}

function torchError(body: () => unknown): TorchError {
  const error = scope(() => thrown(body));
  if (!(error instanceof TorchError)) throw error;
  return error;
}

describe("TorchError", () => {
  it("carries the operation, and libtorch's own words in one line with the call", () => {
    const error = torchError(() => ops.add(Tensor.of([1, 2]), Tensor.of([1, 2, 3])));
    expect(error).toMatchObject({ kind: "torch", operation: "aten::add.Tensor", argument: undefined });
    expect(error.message).toBe(
      "aten::add.Tensor: The size of tensor a (2) must match the size of tensor b (3) at non-singleton dimension 0, in aten::add.Tensor(self=float32[2], other=float32[3])",
    );
  });

  it("carries the argument that does not fit the schema, and what it was", () => {
    const error = torchError(() => ops.softmax(Tensor.of([1]), 0.5));
    expect(error).toMatchObject({ kind: "argument", operation: "aten::softmax.int", argument: "dim" });
    expect(error.message).toBe(
      "aten::softmax.int: expected an integer (beyond 2^53 - 1 a BigInt) for 'dim' (int), received 0.5",
    );
  });

  it("tells a tensor that was disposed of, by its argument", () => {
    const [live, dead] = [Tensor.of([1]), Tensor.of([1])];
    dead.dispose();
    const error = torchError(() => live.add(dead));
    expect(error.message).toBe(
      "aten::add.Tensor: expected a live Tensor for 'other' (Tensor), received one that was disposed of",
    );
    expect(torchError(() => dead.shape)).toMatchObject({ kind: "argument", operation: "shape", argument: "tensor" });
    live.dispose();
  });

  it("tells memory that is not to be had", () => {
    const error = torchError(() => ops.empty([2 ** 50]));
    expect(error.kind).toBe("memory");
    expect(error.message).toMatch(/^aten::empty\.memory_format: .*allocate.* 4503599627370496 bytes.* in aten::empty/);
  });

  it("shows neither C++ places and backtraces nor the list of kernels", () => {
    const unsupported = torchError(() => ops.zeros([1], { device: "xla" }));
    const outOfRange = torchError(() => ops.maxDim(Tensor.of([1]), 7));
    for (const { message, stack } of [unsupported, outOfRange]) {
      expect(message).not.toMatch(/\n|Exception raised from|frame #|registered at|\.cpp/);
      expect(stack).not.toMatch(/frame #|\.cpp/);
    }
  });

  it("has a stack that begins with its name and, next, the line that called this package", () => {
    function userCode(): unknown {
      return Tensor.of([1, 2]).add(Tensor.of([1, 2, 3]));
    }
    const [first, second] = (torchError(userCode).stack ?? "").split("\n");
    expect(first).toMatch(/^TorchError: aten::add\.Tensor: /);
    expect(second).toMatch(/^ {4}at userCode \(.*errors\.test\.ts:/);
  });
});
