import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readSafetensorsHeader, writeSafetensors } from "@peekaboo/files";
import type { TensorEntry } from "@peekaboo/files/safetensors";
import { expect } from "vitest";
import { withChecksums } from "../../../../tests/support/checksums.js";
import { it } from "../../../../tests/support/folder.js";
import { verifyWritten } from "./checksums.js";

let path: string;
it.beforeEach(({ folder }) => {
  path = join(folder, "f.safetensors");
});

const filled = (count: number): TensorEntry => ({
  dtype: "U8",
  shape: [count],
  data: Uint8Array.from({ length: count }, (_, i) => (i * 31 + (i >> 8)) & 255),
});

/** Larger than what is read at once, with tensors that end in every piece, at its end, and beyond it. */
const ENTRIES: [string, TensorEntry][] = [
  ["first", filled(5)],
  ["to the first piece's end", filled(2 ** 24 - 5)],
  ["nothing", filled(0)],
  ["across two ends", filled(2 ** 25 + 77)],
  ["last", filled(1000)],
];

it("a written file is verified piece by piece, whatever the tensors' sizes", async () => {
  writeSafetensors(path, ENTRIES, withChecksums(ENTRIES, { step: "3" }));
  await verifyWritten(path);
  const whole = readFileSync(path);
  const { tensors, dataOffset } = readSafetensorsHeader(path);
  for (const [name, { begin, end }] of tensors) {
    for (const position of begin === end ? [] : [begin, end - 1]) {
      const damaged = Buffer.from(whole);
      damaged[dataOffset + position] = (damaged[dataOffset + position] ?? 0) ^ 1;
      writeFileSync(path, damaged);
      await expect(verifyWritten(path), `${name} at ${position}`).rejects.toThrow(`received another tensor "${name}"`);
    }
  }
  writeFileSync(path, whole.subarray(0, -1));
  await expect(verifyWritten(path)).rejects.toThrow(path);
  const changed = Buffer.from(whole);
  changed[whole.indexOf('"step":"3"') + 8] = 0x34;
  writeFileSync(path, changed);
  await expect(verifyWritten(path)).rejects.toThrow("received another metadata");
});

it("a file that is gone, or was never sealed, is not verified", async () => {
  await expect(verifyWritten(path)).rejects.toThrow("an existing file");
  writeSafetensors(path, ENTRIES.slice(0, 1));
  await expect(verifyWritten(path)).rejects.toThrow('another tensor "first"');
});
