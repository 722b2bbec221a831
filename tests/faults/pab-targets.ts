import { load } from "@peekaboo/runtime";
import { measurePab } from "@peekaboo/seed";
import { damagedPab, repairedPab } from "./pab-files.js";
import type { Target } from "./target.js";

/** What each number that a file stands for may take while it is read and prepared, in all: weight, mask, signs, logarithm, lists. */
const BYTES_PER_VALUE = 64;
/** A file may stand for so many numbers, and so many for each of its bytes. */
const [LEAST_VALUES, VALUES_PER_BYTE] = [2 ** 20, 600];

async function read(bytes: Uint8Array): Promise<void> {
  measurePab(bytes);
  await load(bytes);
}

const limits = {
  parse: read,
  seconds: 2,
  // Read twice, with the tables of the models.
  memory: (bytes: number) => 2 * BYTES_PER_VALUE * (LEAST_VALUES + VALUES_PER_BYTE * bytes) + 2 ** 24,
};

/** Of the inputs of a full run, 10,000 and 1,000. */
export const pabTargets: readonly Target[] = [
  { name: "pab files", share: 10_000 / 1800, make: damagedPab, ...limits },
  { name: "repaired pab files", share: 1000 / 1800, make: repairedPab, ...limits },
];
