import { ops, scope, type Tensor } from "@peekaboo/torch";

/**
 * The elements of tensors of one device, row-major, an array for each: copied at once, since each copy from a GPU waits for
 * all that was asked of it before.
 */
export function readTogether(tensors: readonly Tensor[]): number[][] {
  return scope(() => {
    const sizes = tensors.map(({ numel }) => numel);
    const flat = tensors.map((tensor) => tensor.detach().to({ dtype: "float64" }).reshape(-1));
    const values = Array.from<number | bigint, number>(ops.cat(flat).toTypedArray(), Number);
    return sizes.map((size) => values.splice(0, size));
  });
}
