import { readSafetensors, writeSafetensors } from "@peekaboo/files";
import { quoted, UserError } from "@peekaboo/files/errors";
import { entryOf } from "@peekaboo/torch";
import type { Network } from "../models/network.js";
import { namedMasks, restoreWeights } from "./checkpoint.js";

const FORMAT = "peekaboo-network/1";

/**
 * Writes a network's weights, statistics and masks as one safetensors file, whole or not at all.
 *
 * @throws {UserError} when the path can't be written.
 */
export function saveNetwork(network: Network, path: string): void {
  const tensors = [...network.module.stateDict(), ...namedMasks(network)];
  const entries = tensors.map(([name, tensor]) => [name, entryOf(tensor)] as const);
  writeSafetensors(path, entries, { format: FORMAT, arch: network.options.arch });
}

/**
 * Gives a network what {@link saveNetwork} wrote of one that was built alike.
 *
 * @throws {UserError} for another kind of file, another network's, or one that is damaged; the network is as it was then.
 */
export function restoreNetwork(network: Network, path: string): void {
  const { tensors, metadata } = readSafetensors(path);
  const { arch } = network.options;
  const received = metadata.format === FORMAT ? metadata.arch : metadata.format;
  if (metadata.format !== FORMAT || metadata.arch !== arch) {
    throw new UserError({
      operation: "restore the network",
      argument: quoted(path),
      expected: `a file that saveNetwork wrote of ${arch}`,
      received: received === undefined ? "another file" : quoted(received),
    });
  }
  restoreWeights(network, { path, tensors });
}
