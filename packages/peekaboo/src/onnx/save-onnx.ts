import { refuseUnwritable, writeFileAtomic } from "@peekaboo/files";
import { refuseNonfinite } from "../models/first-nonfinite.js";
import type { Network } from "../models/network.js";
import { effectiveGraph } from "../pab/pab-of.js";
import { type FileFacts, factsOf } from "../pab/save-pab.js";
import { onnxOf } from "./model-of.js";

/**
 * Writes a network in ONNX with dense weights, whole or not at all: images "image" [N, C, H, W] in, "logits" [N, classes] out.
 *
 * @returns the file's bytes.
 * @throws {UserError} as {@link savePab} does.
 */
export function saveOnnx(network: Network, path: string, facts: FileFacts = {}): { bytes: number } {
  refuseUnwritable("save", path);
  refuseNonfinite(network.module.stateDict(), "save", path);
  const { graph, values } = effectiveGraph(network);
  const bytes = onnxOf({ graph, tensors: values, ...factsOf(network, facts) });
  writeFileAtomic(path, [bytes]);
  return { bytes: bytes.length };
}
