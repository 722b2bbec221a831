import { quoted } from "@peekaboo/files/errors";
import { nn, noGrad, scope, type Tensor, UserError } from "@peekaboo/torch";
import { pabOps } from "../native/library.js";
import { readTogether } from "../read-together.js";
import { setting } from "../setting.js";
import type { Network } from "./network.js";

/** Where a number that is not finite first appears. */
export type Origin =
  | { readonly kind: "input" }
  /** A parameter was not finite before the step. */
  | { readonly kind: "parameter"; readonly name: string }
  /** A module's output is not finite, and its input is. */
  | { readonly kind: "output"; readonly name: string }
  /** All outputs are finite: the loss itself overflows. */
  | { readonly kind: "loss" };

/**
 * Computes the network's outputs for `input` [N, C, H, W] again, in the mode it is in, and finds the first in the order
 * of the forward pass that is not finite. BatchNorm's statistics are left as they were.
 */
export function firstNonfinite({ module }: Pick<Network, "module">, input: Tensor): Origin {
  return noGrad(() =>
    scope(() => {
      if (!allFinite(input)) return { kind: "input" };
      const broken = [...module.namedParameters()].find(([, parameter]) => !allFinite(parameter));
      if (broken !== undefined) return { kind: "parameter", name: broken[0] };
      const name = firstOutput(module, input);
      return name === undefined ? { kind: "loss" } : { kind: "output", name: name === "" ? "the network" : name };
    }),
  );
}

/** The name of the first of these tensors that holds NaN or infinity. */
export function nameOfNonfinite(tensors: Iterable<readonly [string, Tensor]>): string | undefined {
  const all = [...tensors];
  const [finite = []] = scope(() => readTogether([pabOps().allFinite(all.map(([, tensor]) => tensor))]));
  return all.find((_, i) => finite[i] === 0)?.[0];
}

/** @throws {UserError} for weights or statistics of `file` that aren't finite: whatever a network says with them is noise. */
export function refuseNonfinite(state: Iterable<readonly [string, Tensor]>, operation: string, file: string): void {
  const name = nameOfNonfinite(state);
  if (name === undefined) return;
  throw new UserError({
    operation,
    argument: `${name} of ${quoted(file, Number.POSITIVE_INFINITY)}`,
    expected: "finite numbers",
    received: "NaN or infinity",
    remedy: `the training that made it went astray: give an earlier checkpoint, or train anew with a lower ${setting("lr")}`,
  });
}

/** In words, as part of a sentence. */
export function originInWords(origin: Origin): string {
  switch (origin.kind) {
    case "input":
      return "the images";
    case "parameter":
      return origin.name;
    case "output":
      return `the output of ${origin.name}`;
    case "loss":
      return "the loss itself";
  }
}

function firstOutput(module: nn.Module, input: Tensor): string | undefined {
  const names = new Map([...module.namedModules()].map(([name, own]) => [own, name]));
  const restore = keepStatistics(module);
  let first: string | undefined;
  nn.watchOutputs(
    () => module.call(input),
    (own, output) => {
      if (first === undefined && !allFinite(output)) first = names.get(own);
    },
  );
  restore();
  return first;
}

/** Copies BatchNorm's statistics; the function returned puts them back, as long as the scope around lasts. */
export function keepStatistics(module: nn.Module): () => void {
  const copies = noGrad(() => [...module.namedBuffers()].map(([, tensor]) => [tensor, tensor.clone()] as const));
  return () => {
    noGrad(() => {
      for (const [tensor, copy] of copies) tensor.copy_(copy);
    });
  };
}

function allFinite(tensor: Tensor): boolean {
  return scope(() => pabOps().allFinite([tensor]).item()) === 1;
}
