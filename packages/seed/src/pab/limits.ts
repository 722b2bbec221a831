import { numel } from "@peekaboo/files/safetensors";
import { shapesOf } from "../graph/shapes.js";
import type { Description } from "./description.js";

/** The most bytes of a description, whatever it takes in a file. */
const MAX_DESCRIPTION = 1 << 19;
/** So many, and so many for each byte that it takes: repetition costs hardly anything, and time to read. */
const LEAST_DESCRIPTION = 1 << 14;
const DESCRIPTION_PER_BYTE = 128;
/** How many numbers a file may stand for: so many, and so many for each of its bytes. Sparser networks than that aren't. */
const LEAST_VALUES = 1 << 20;
const VALUES_PER_BYTE = 600;

/** The most bytes of text that a section of so many bytes may tell. */
export function mostText(bytes: number): number {
  return Math.min(MAX_DESCRIPTION, LEAST_DESCRIPTION + DESCRIPTION_PER_BYTE * bytes);
}

/** How many numbers the tensors have, and may have in a file of so many bytes. */
export function valuesIn({ tensors }: Pick<Description, "tensors">, bytes: number): { values: number; most: number } {
  const values = tensors.reduce((sum, { shape }) => sum + numel(shape), 0);
  return { values, most: LEAST_VALUES + VALUES_PER_BYTE * bytes };
}

/** How many logits the graph gives. @throws {UserError} for one that doesn't hold together, or doesn't fit the tensors. */
export function logitsOf({ graph, tensors }: Pick<Description, "graph" | "tensors">): number {
  const shapes = shapesOf(graph, new Map(tensors.map((tensor) => [tensor.name, tensor])));
  return numel(shapes.at(-1) ?? []);
}
