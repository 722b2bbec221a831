import { createEngine, type Engine, type Network } from "@peekaboo/runtime";
import { type GraphTensor, initialiseWeight, type PabNetwork } from "@peekaboo/seed";
import type { Stage, StageFacts } from "../protocol.js";

/** The network of a file on its way from the seed: random weights, then its masks, then its signs. */
export class Growth {
  readonly #network: PabNetwork;
  /** The weights that the seed gives, by name: drawn when they are first asked for. */
  #initial: ReadonlyMap<string, Float32Array> | undefined;

  constructor(network: PabNetwork) {
    this.#network = network;
  }

  /**
   * The tensors at a stage. Numbers that don't come from the seed (scales, shifts, the output layer) are the file's at every
   * stage; at the last, all are.
   */
  at(stage: Stage): Network & Pick<StageFacts, "cut" | "turned" | "total"> {
    this.#initial ??= initialWeights(this.#network);
    const tensors = new Map<string, GraphTensor>(this.#network.tensors);
    let [cut, turned, total] = [0, 0, 0];
    for (const [name, start] of this.#initial) {
      const final = this.#network.tensors.get(name);
      if (final === undefined) continue;
      const grown = grow(start, final.data, final.mask, stage);
      tensors.set(name, { shape: final.shape, data: grown.data });
      cut += grown.cut;
      turned += grown.turned;
      total += start.length;
    }
    return { graph: this.#network.description.graph, tensors, cut, turned, total };
  }

  /** The weight of the first convolution at a stage's tensors; null where there is none. */
  firstLayer(tensors: ReadonlyMap<string, GraphTensor>): StageFacts["filters"] {
    const node = this.#network.description.graph.nodes.find(({ op }) => op === "conv2d");
    if (node?.op !== "conv2d") return null;
    const tensor = tensors.get(node.weight);
    // A copy of its own: it leaves this thread.
    return tensor === undefined ? null : { name: node.weight, shape: tensor.shape, data: tensor.data.slice() };
  }

  engine(network: Network): Promise<Engine> {
    return createEngine({ graph: network.graph, tensors: network.tensors });
  }
}

function initialWeights({ description, tensors }: PabNetwork): Map<string, Float32Array> {
  const grown = description.tensors.filter(({ name, stored }) => stored === "signs" && tensors.has(name));
  return new Map(grown.map(({ name, shape, init }) => [name, initialiseWeight(init, description.seed, name, shape)]));
}

/** A weight's turn, from 0 to 1: evenly spread over a layer, and the same each time. */
function turnOf(index: number): number {
  return (Math.imul(index + 1, 0x9e3779b1) >>> 0) / 2 ** 32;
}

/** A layer at a stage; of those that a mask cuts, the sign is no matter. */
export function grow(start: Float32Array, final: Float32Array, mask: Uint8Array | null, { masked, signed }: Stage) {
  const data = start.slice();
  let [cut, turned] = [0, 0];
  for (let i = 0; i < data.length; i++) {
    const turn = turnOf(i);
    if (mask !== null && mask[i] === 0) {
      if (turn >= masked) continue;
      data[i] = 0;
      cut++;
    } else if (turn < signed && data[i] !== final[i]) {
      data[i] = final[i] ?? 0;
      turned++;
    }
  }
  return { data, cut, turned };
}
