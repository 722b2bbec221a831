import { loadNetwork } from "../checkpoint/checkpoint.js";
import { nameOfNonfinite } from "../models/first-nonfinite.js";
import { portableName } from "../models/own-reference.js";
import { effectiveGraph } from "../pab/pab-of.js";
import { imageRule } from "../pab/write-pab.js";
import type { OnnxSource } from "./model-of.js";

/**
 * The network of a checkpoint, with its weights as they take effect.
 * @throws {UserError} when the file is no checkpoint, or its network has an operation that a graph doesn't know.
 */
export function checkpointSource(file: string): OnnxSource & { nonfinite?: string } {
  const { network, config, images } = loadNetwork(file);
  try {
    const nonfinite = nameOfNonfinite(network.module.stateDict());
    const { graph, values } = effectiveGraph(network);
    return {
      network: portableName(config.arch),
      graph,
      tensors: values,
      classes: images.classes ?? Array.from({ length: images.numClasses }, (_, i) => `class ${i}`),
      ...imageRule(network, config),
      ...(nonfinite === undefined ? {} : { nonfinite }),
    };
  } finally {
    network.dispose();
  }
}
