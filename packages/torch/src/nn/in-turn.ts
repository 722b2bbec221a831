import { scope } from "../scope.js";
import type { Tensor } from "../tensor.js";

/**
 * Takes steps one after the other, from what `first` makes. Each result is freed as soon as the next is there, and so is the first where
 * it is made here; what a step returns unchanged or keeps is not.
 */
export function inTurn(first: () => Tensor, steps: readonly ((value: Tensor) => Tensor)[]): Tensor {
  return steps.reduce<() => Tensor>((before, step) => () => scope(() => step(before())), first)();
}
