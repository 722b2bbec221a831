import { numel } from "@peekaboo/files/safetensors";
import { type BitCoder, PROBABILITY_ONE } from "../coding/range-coder.js";
import type { PartSizes } from "./container.js";
import { decodePab } from "./decode.js";
import type { Description, StoredAs } from "./description.js";

/** What a tensor takes in a file, by its model's own code length. */
export interface TensorBits {
  readonly name: string;
  readonly shape: readonly number[];
  readonly stored: StoredAs;
  readonly kept: number;
  readonly total: number;
  readonly mask: number;
  readonly signs: number;
  readonly numbers: number;
}

/** What a file holds, and what it could take otherwise. */
export interface PabMeasure {
  readonly description: Description;
  readonly sizes: PartSizes;
  readonly tensors: readonly TensorBits[];
  /** Bytes of the whole network as dense float32. */
  readonly denseBytes: number;
  /** Bits of all masks at their entropy for each tensor, so without a model. */
  readonly maskEntropy: number;
}

/** Counts the information of what is coded, in bits. */
class Meter implements BitCoder {
  bits = 0;

  constructor(readonly coder: BitCoder) {}

  code(bit: number, p: number): number {
    const read = this.coder.code(bit, p);
    this.bits -= Math.log2((read === 1 ? p : PROBABILITY_ONE - p) / PROBABILITY_ONE);
    return read;
  }
}

/** Reads a file and counts what each of its tensors takes. @throws {UserError} as `decodePab` does. */
export function measurePab(bytes: Uint8Array): PabMeasure {
  const meters = new Map<string, Meter>();
  const marks: Record<"mask" | "signs" | "numbers", number>[] = [];
  const mark = () => {
    const bitsOf = (section: string) => meters.get(section)?.bits ?? 0;
    marks.push({ mask: bitsOf("masks"), signs: bitsOf("signs"), numbers: bitsOf("numbers") });
  };
  const watch = (section: string, coder: BitCoder) => {
    const meter = new Meter(coder);
    meters.set(section, meter);
    return meter;
  };
  const { description, tensors, sizes } = decodePab(bytes, watch, mark);
  const measured = description.tensors.map(({ name, shape, stored }, i) => {
    const [from, to] = [marks[i], marks[i + 1]];
    const spent = (what: "mask" | "signs" | "numbers") => (to?.[what] ?? 0) - (from?.[what] ?? 0);
    const mask = tensors.get(name)?.mask ?? null;
    const total = numel(shape);
    const kept = mask === null ? total : mask.reduce((sum, bit) => sum + bit, 0);
    return { name, shape, stored, kept, total, mask: spent("mask"), signs: spent("signs"), numbers: spent("numbers") };
  });
  const denseBytes = 4 * measured.reduce((sum, { total }) => sum + total, 0);
  const maskEntropy = measured.reduce((sum, { kept, total }) => sum + total * entropy(kept / total), 0);
  return { description, sizes, tensors: measured, denseBytes, maskEntropy };
}

/** Bits that one draw of probability `p` carries. */
function entropy(p: number): number {
  return p <= 0 || p >= 1 ? 0 : -p * Math.log2(p) - (1 - p) * Math.log2(1 - p);
}
