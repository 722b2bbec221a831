import { asTypedArray, type TensorEntry } from "@peekaboo/files/safetensors";
import { dtypeInfo, dtypeOfArray, type TypedArray } from "./dtype.js";
import { narrow } from "./generated/ops.js";
import { scope } from "./scope.js";
import { Tensor } from "./tensor.js";

/**
 * The tensor that an entry of a safetensors file holds, on the CPU.
 *
 * `share` uses the entry's memory (where it is aligned) instead of a copy: writes are seen on both sides.
 * @throws {UserError} for F16 and BF16, which JavaScript has no array for, and when dtype, shape and data disagree.
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

/** A tensor's dtype and shape as a safetensors file tells them. */
export function descriptionOf(tensor: Tensor): Pick<TensorEntry, "dtype" | "shape"> {
  return { dtype: dtypeInfo(tensor.dtype).safetensors, shape: [...tensor.shape] };
}

/**
 * A tensor's elements as {@link entryOf} gives them, in pieces that follow each other, from any device.
 *
 * @param memory lends a piece its memory, aligned to the elements: at least `unit` bytes.
 */
export async function* piecesOf(
  tensor: Tensor,
  memory: (unit: number) => Promise<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const { bytes, array } = dtypeInfo(tensor.dtype);
  if (tensor.numel === 0) return;
  const rows = tensor.shape[0] ?? 1;
  const perRow = tensor.numel / rows;
  for (let row = 0; row < rows; ) {
    const { buffer, byteOffset, byteLength } = await memory(perRow * bytes);
    const taken = Math.min(Math.floor(byteLength / (perRow * bytes)), rows - row);
    const target = new array(buffer, byteOffset, taken * perRow);
    if (taken === rows) tensor.copyInto(target);
    else copyRows(tensor, row, taken, target);
    yield new Uint8Array(buffer, byteOffset, target.byteLength);
    row += taken;
  }
}

function copyRows(tensor: Tensor, first: number, count: number, target: TypedArray): void {
  scope(() => void narrow(tensor.detach(), 0, first, count).copyInto(target));
}
