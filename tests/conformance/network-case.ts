import type { TensorEntry } from "@peekaboo/files/safetensors";
import { scope, type Tensor, tensorOf, UserError } from "@peekaboo/torch";
import { z } from "zod";
import { HIDDEN_ACTS } from "#peekaboo/layers/latent-score";
import type { PsgOptions } from "#peekaboo/layers/psg-conv2d";
import { Network } from "#peekaboo/models/network";
import { misshaped } from "./compare.js";
import type { GoldenFile } from "./golden-file.js";

const size = z.int().positive();

/** The parameters that name a network. */
export const networkSchema = z.object({
  arch: z.string(),
  numClasses: z.int().positive(),
  /** How the latent scores of a Seed network act; null for every other. */
  hiddenAct: z.enum(HIDDEN_ACTS).nullable().default(null),
  /** [N, C, H, W]; default: what the architecture was made for. */
  inputShape: z.tuple([size, size, size, size]).optional(),
});

/** Builds the network, with zero weights, for as long as `use` runs. @throws {UserError} for an unknown one. */
export async function withNetwork<Result>(
  { arch, numClasses, hiddenAct, inputShape }: z.output<typeof networkSchema>,
  psg: PsgOptions,
  use: (network: Network) => Result | Promise<Result>,
): Promise<Result> {
  const network = new Network({
    arch,
    numClasses,
    psg,
    conv: "exact",
    ...(inputShape === undefined ? {} : { imageShape: [inputShape[1], inputShape[2], inputShape[3]] }),
    ...(hiddenAct === null ? {} : { hiddenAct }),
  });
  try {
    return await use(network);
  } finally {
    network.dispose();
  }
}

/** Gives the network the state that a file holds. @throws {UserError} where names or shapes differ. */
export function loadState(network: Network, init: GoldenFile): void {
  scope(() => {
    const state = [...init.entries].map(([name, entry]) => [name, tensorOf(entry, { share: true })] as const);
    network.module.loadStateDict(new Map(state));
  });
}

/** Gives the network masks by the names of its weights. @throws {UserError} where a name or a shape isn't its own. */
export function loadMasks(network: Network, masks: ReadonlyMap<string, TensorEntry>): void {
  scope(() => {
    const layers = network.prunable();
    for (const [name, { shape }] of masks) {
      const weight = layers.get(name)?.weight ?? unknownTensor(`mask.${name}`);
      if (weight.shape.join() !== shape.join()) throw misshaped(`mask.${name}`, weight.shape, shape);
    }
    network.setMasks(new Map([...masks].map(([name, entry]) => [name, tensorOf(entry, { share: true })])));
  });
}

/** The failure of an expectation for something that the network doesn't have. */
export function unknownTensor(name: string): never {
  throw new UserError({
    operation: "compare with the golden case",
    argument: name,
    expected: "the name of one of the network's tensors",
    received: "another",
  });
}

/** The state tensor of that name. @throws {UserError} when the network has none. */
export function stateTensor(network: Network, name: string): Tensor {
  return network.module.stateDict().get(name) ?? unknownTensor(name);
}
