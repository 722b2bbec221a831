import { type LoadedNetwork, loadNetwork } from "../checkpoint/checkpoint.js";
import { isPabFile } from "../checkpoint/pab-file.js";
import { networkOfPab } from "./network-of-pab.js";

/** The network of a checkpoint or of a .pab file, in evaluation mode. @throws {UserError} as their readers do. */
export function openNetwork(operation: string, path: string): LoadedNetwork {
  return isPabFile(operation, path) ? networkOfPab(operation, path) : loadNetwork(path);
}
