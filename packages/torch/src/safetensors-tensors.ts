import { dtypeInfo, dtypeOfArray } from "./dtype.js";
import { asTypedArray, type TensorEntry } from "./safetensors/index.js";
import { Tensor } from "./tensor.js";

/**
 * The tensor that an entry of a safetensors file holds, on the CPU.
 *
 * @param options.share uses the entry's memory (where it is aligned) instead of a copy: writes are seen on both sides.
 * @throws UserError for F16 and BF16, which JavaScript has no array for, and when dtype, shape and data disagree.
 */
export function tensorOf(entry: TensorEntry, { share = false } = {}): Tensor {
  const data = asTypedArray(entry);
  const dtype = entry.dtype === "BOOL" ? "bool" : dtypeOfArray(data);
  return Tensor.from(data, { shape: entry.shape, dtype, share });
}

/** A copy of a tensor's elements as an entry for a safetensors file, from any device. */
export function entryOf(tensor: Tensor): TensorEntry {
  const { buffer, byteOffset, byteLength } = tensor.toTypedArray();
  const { safetensors: dtype } = dtypeInfo(tensor.dtype);
  return { dtype, shape: [...tensor.shape], data: new Uint8Array(buffer, byteOffset, byteLength) };
}
