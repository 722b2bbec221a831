import { quoted, UserError } from "@peekaboo/files/errors";
import { decodePab, initialiseWeight, type PabNetwork, type PabTensor } from "@peekaboo/seed";
import { nn, ops, scope, Tensor } from "@peekaboo/torch";
import { type LoadedNetwork, networkOptions } from "../checkpoint/checkpoint.js";
import { BEGINNING } from "../checkpoint/progress.js";
import { parseConfig, type TrainConfig } from "../config/config.js";
import type { LatentScore } from "../layers/latent-score.js";
import { MaskedConv2d } from "../layers/masked-conv2d.js";
import { Network } from "../models/network.js";
import { graphOf } from "./graph-of.js";
import { inputScale, scaledLayers, withInputScales } from "./pab-of.js";
import { readPab } from "./read-pab.js";

/** A BatchNorm's variance by which it divides by 1. */
const unitVariance = (eps: number) => 1 - eps;

/**
 * Builds the network that a .pab file holds, in evaluation mode: what its masks cut has its initial weight, as in training.
 * @param pab what the file holds, where that was read already
 * @throws {UserError} when the file is damaged, or its network isn't of an architecture of the project's own.
 */
export function networkOfPab(
  operation: string,
  path: string,
  pab: PabNetwork = readPab(operation, path, decodePab),
): LoadedNetwork {
  const { description } = pab;
  const config = configOf(operation, path, pab);
  const { classes, graph, test } = description;
  const network = new Network(networkOptions(config, classes.length, graph.input, classes));
  try {
    network.initialise(config.initMethod, config.seed);
    new Restoration(operation, path, pab, network).run();
  } catch (error) {
    network.dispose();
    throw error;
  }
  network.module.eval();
  const images = { path, config, numClasses: classes.length, classes, imageShape: graph.input, folder: null };
  return { network, config, images, progress: { ...BEGINNING, bestAccuracy: test?.accuracy ?? null } };
}

function configOf(operation: string, path: string, { description }: PabNetwork): TrainConfig {
  const { provenance, network, seed, init } = description;
  try {
    const config = parseConfig(provenance.settings ?? {});
    if (config.arch === network && config.seed === seed && config.initMethod === init) return config;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
  }
  throw new UserError({
    operation,
    argument: quoted(path),
    expected: "a network of an architecture that `peekaboo models` lists, with its settings",
    received: `${quoted(network)} without them`,
    remedy: "`peekaboo predict` and `evaluate --engine runtime` run it as it is",
  });
}

class Restoration {
  readonly #operation: string;
  readonly #path: string;
  readonly #pab: PabNetwork;
  readonly #network: Network;

  constructor(operation: string, path: string, pab: PabNetwork, network: Network) {
    this.#operation = operation;
    this.#path = path;
    this.#pab = pab;
    this.#network = network;
  }

  run(): void {
    this.#refuseOtherGraph();
    scope(() => {
      const masks = new Map<string, Tensor>();
      for (const [name, module] of this.#network.module.namedModules()) {
        if (module instanceof nn.BatchNorm2d) this.#restoreNorm(name, module);
        else if (module instanceof MaskedConv2d) this.#restoreConvolution(`${name}.weight`, module);
        const mask = this.#pab.tensors.get(`${name}.weight`)?.mask ?? null;
        if (mask !== null && this.#network.prunable().has(`${name}.weight`))
          masks.set(`${name}.weight`, Tensor.from(mask, { shape: this.#tensor(`${name}.weight`).shape }));
      }
      for (const [name, tensor] of this.#network.module.stateDict()) {
        const own = this.#pab.tensors.get(name);
        if (own !== undefined && own.shape.length !== 4) fill(tensor, own.data);
      }
      this.#network.setMasks(masks);
    });
  }

  /** A file may say that it is of an architecture and hold another graph. */
  #refuseOtherGraph(): void {
    const twin = this.#network.plainTwin();
    try {
      const traced = graphOf(twin.module, this.#network.imageShape);
      const graph = withInputScales(traced.graph, scaledLayers(this.#network));
      if (JSON.stringify(graph.nodes) === JSON.stringify(this.#pab.description.graph.nodes)) return;
    } finally {
      twin.dispose();
    }
    throw this.#fault(`the graph of ${this.#pab.description.network}`, "another");
  }

  #restoreNorm(name: string, norm: nn.BatchNorm2d): void {
    const state = norm.stateDict();
    const set = (key: string, values: Float32Array) => fill(state.get(key), values);
    const scale = this.#tensor(`${name}.scale`).data;
    set("weight", scale);
    set("bias", this.#tensor(`${name}.shift`).data);
    set("running_mean", new Float32Array(scale.length));
    set("running_var", new Float32Array(scale.length).fill(unitVariance(norm.eps)));
  }

  #restoreConvolution(name: string, layer: MaskedConv2d): void {
    const { data, mask, shape } = this.#tensor(name);
    const initial = initialiseWeight(this.#pab.description.init, this.#pab.description.seed, name, shape);
    if (layer.latent === null) {
      fill(layer.weight, mask === null ? data : data.map((value, i) => (mask[i] === 1 ? value : (initial[i] ?? 0))));
      return;
    }
    restoreScore(layer.latent, data, initial);
    const scale = this.#pab.tensors.get(inputScale(name));
    if (scale !== undefined) fill(layer.latent.parameters.get("scale"), scale.data);
  }

  #tensor(name: string): PabTensor {
    const tensor = this.#pab.tensors.get(name);
    if (tensor === undefined) throw this.#fault(`the tensor ${name}`, "none");
    return tensor;
  }

  #fault(expected: string, received: string): UserError {
    return new UserError({ operation: this.#operation, argument: quoted(this.#path), expected, received });
  }
}

/** A score that makes of the initial weights what the file holds: 1, -1 or 0, between whose thresholds only 0 lies. */
function restoreScore({ parameters, options }: LatentScore, data: Float32Array, initial: Float32Array): void {
  const kept = (value: number, i: number) => (value === 0 ? 0 : value * (initial[i] ?? 0) > 0 ? 1 : -1);
  const t = parameters.get("t");
  if (t === undefined) return;
  // The pruning score cuts what isn't above 0.
  const score = options.act === "pruning" ? data.map((value) => (value === 0 ? -1 : 1)) : data.map(kept);
  fill(t, score);
}

function fill(tensor: Tensor | undefined, values: Float32Array): void {
  if (tensor === undefined) throw new TypeError("networkOfPab: a tensor of the state is missing");
  ops.copy_(tensor.detach(), Tensor.from(values, { shape: tensor.shape, share: true }));
}
