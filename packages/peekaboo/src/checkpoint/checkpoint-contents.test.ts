import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { readSafetensors, writeFileInBackground } from "@peekaboo/files";
import { encodeSafetensors } from "@peekaboo/files/safetensors";
import { entryOf, liveTensorCount, ops, scope, Tensor } from "@peekaboo/torch";
import { expect } from "vitest";
import { withChecksums } from "../../../../tests/support/checksums.js";
import { it } from "../../../../tests/support/folder.js";
import { CheckpointContents } from "./checkpoint-contents.js";
import { verifyChecksums } from "./checksums.js";

let path: string;
it.beforeEach(({ folder }) => {
  path = join(folder, "f");
});

/** Values that differ everywhere, in as many rows as it takes. */
function ramp(rows: number, columns: number, offset = 0): Tensor {
  return Tensor.from(
    Float32Array.from({ length: rows * columns }, (_, i) => i + offset),
    { shape: [rows, columns] },
  );
}

/** Every kind of tensor that the pieces may cut, or not cut, at a wrong place; the data of most need several chunks. */
function samples(): [string, Tensor][] {
  return [
    ["mask", ops.gtScalar(ramp(3, 5), 6)],
    ["bytes", Tensor.from(new Uint8Array(2_500_001).map((_, i) => i % 251))],
    ["many rows", ramp(1201, 700)],
    ["one long row", ramp(1, 600_000, 7)],
    ["long rows", ramp(3, 400_000, 1)],
    ["transposed", ops.transpose(ramp(900, 800), 0, 1)],
    ["channels last", ops.contiguous(ramp(64, 6400).view(64, 64, 10, 10), { memoryFormat: "channelsLast" })],
    ["learned", ramp(700, 700).requireGrad()],
    ["scalar", Tensor.from(Float64Array.of(Math.PI), { shape: [] })],
    ["count", Tensor.from(BigInt64Array.of(12345678901n))],
    ["none", Tensor.from(new Float32Array(0), { shape: [0, 7] })],
    ["vector", Tensor.from(new Int16Array(700_001).map((_, i) => i))],
  ];
}

it("are in every byte what encoding all at once gives", async () => {
  const metadata = { format: "test", "": 'quotes " and \\' };
  const tensors = scope(samples);
  const before = liveTensorCount();
  const contents = new CheckpointContents(tensors, metadata);
  await writeFileInBackground(path, contents);
  expect(liveTensorCount()).toBe(before);
  const entries = tensors.map(([name, tensor]) => [name, entryOf(tensor)] as const);
  const expected = Buffer.concat(encodeSafetensors(entries, withChecksums(entries, metadata)));
  const written = readFileSync(path);
  expect(written.byteLength).toBe(contents.byteLength);
  expect(written.equals(expected)).toBe(true);
  for (const [, tensor] of tensors) tensor.dispose();
});

it("have the SHA-256 of every tensor, which a reader finds right", async () => {
  await writeFileInBackground(path, new CheckpointContents([["w", Tensor.of([1, 2])]], {}));
  const file = readSafetensors(path);
  verifyChecksums(path, file);
  const sum = createHash("sha256").update(Buffer.from("0000803f00000040", "hex")).digest("hex");
  expect(JSON.parse(file.metadata.checksums ?? "")).toEqual({ w: sum });
});

it("are the values at the time of writing, also of a second writing", async () => {
  const tensor = Tensor.of([1, 2]);
  const contents = new CheckpointContents([["w", tensor]], {});
  await writeFileInBackground(path, contents);
  const first = readFileSync(path);
  await writeFileInBackground(path, contents);
  expect(readFileSync(path).equals(first)).toBe(true);
  tensor.copy_(Tensor.of([3, 4]));
  await writeFileInBackground(path, contents);
  const file = readSafetensors(path);
  verifyChecksums(path, file);
  expect([...(file.tensors.get("w")?.data ?? [])]).toEqual([0, 0, 64, 64, 0, 0, 128, 64]);
});

it("refuse a name that comes twice", () => {
  const twice: [string, Tensor][] = [
    ["w", Tensor.of([1])],
    ["w", Tensor.of([2])],
  ];
  expect(() => new CheckpointContents(twice, {})).toThrow('each name once for tensor "w"');
});
