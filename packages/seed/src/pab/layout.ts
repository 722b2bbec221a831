import type { MaskShape } from "../coding/mask-model.js";
import type { Description, TensorDescription } from "./description.js";

/** What tensors are for, each for float16 and for float32: numbers of a kind are alike. */
const ROLES = ["scale", "shift", "weight", "bias"] as const;
export const FLOAT_KINDS = 2 * ROLES.length;

/** The kind of each tensor's numbers. */
export function floatKinds({ graph, tensors }: Description): Map<string, number> {
  const roles = new Map<string, number>();
  for (const node of graph.nodes) {
    ROLES.forEach((role, i) => {
      const name = (node as Partial<Record<(typeof ROLES)[number], string>>)[role];
      if (name !== undefined) roles.set(name, i);
    });
  }
  return new Map(
    tensors.map(({ name, stored }) => [name, (roles.get(name) ?? 0) + (stored === "float32" ? ROLES.length : 0)]),
  );
}

/** [out, in, size of the kernel] of a weight. */
export function maskShape([outputs = 1, inputs = 1, ...kernel]: readonly number[]): MaskShape {
  return [outputs, inputs, kernel.reduce((product, size) => product * size, 1)];
}

/** Height and width of a weight's kernel. */
export function kernelSize([, , height = 1, width = 1]: readonly number[]): [height: number, width: number] {
  return [height, width];
}

/** Whether a tensor can't be read without its initial weights. */
export function needsWeights({ shape, stored, mask }: TensorDescription): boolean {
  return stored === "signs" || (mask === "model" && shape.length >= 2);
}
