import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import { Tensor } from "../tensor.js";
import { layoutHash, stateHash } from "./state.js";

it("stateHash is the SHA-256 of names, types, shapes and bytes, in the names' order", () => {
  const [a, b] = [Tensor.of([1, 2]), Tensor.of([[3]], { dtype: "uint8" })];
  const bytes = Buffer.from(Float32Array.of(1, 2).buffer);
  const hash = createHash("sha256")
    .update('"a" float32 [2]\n')
    .update(bytes)
    .update('"b" uint8 [1,1]\n')
    .update("\x03");
  expect(stateHash(Object.entries({ b, a }))).toBe(hash.digest("hex"));
});

it("stateHash tells any difference, layoutHash those of names, types and shapes", () => {
  const one = (name: string, values: number[], shape = [2], dtype: "float32" | "int32" = "float32") =>
    [[name, Tensor.of(values, { dtype }).view(...shape)]] as [string, Tensor][];
  const same = one("x", [1, 2]);
  const other = [one("y", [1, 2]), one("x", [1, 2], [2, 1]), one("x", [1, 2], [2], "int32")];
  expect(new Set([same, ...other, one("x", [1, 3])].map(stateHash)).size).toBe(5);
  expect(new Set([same, ...other].map(layoutHash)).size).toBe(4);
  expect(layoutHash(one("x", [1, 3]))).toBe(layoutHash(same));
  // Elements, not memory: a transposed view hashes as its copy.
  const matrix = Tensor.of([
    [1, 2],
    [3, 4],
  ]).t();
  expect(stateHash([["m", matrix]])).toBe(stateHash([["m", matrix.contiguous()]]));
});
