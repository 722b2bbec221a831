import { quoted, UserError } from "@peekaboo/files/errors";
import {
  type Description,
  type Graph,
  type GraphNode,
  growsFromSeed,
  type InitMethod,
  initialiseWeight,
  type MaskedBy,
  type PabTensor,
  randomMask,
  type StoredAs,
  shuffledMask,
  type TensorDescription,
} from "@peekaboo/seed";
import { entryOf, ops, scope, type Tensor } from "@peekaboo/torch";
import { MaskedConv2d } from "../layers/masked-conv2d.js";
import type { Network } from "../models/network.js";
import { setting } from "../setting.js";
import { type FoldedNorm, graphOf } from "./graph-of.js";

/** How a network is written. */
export interface PabOptions {
  readonly seed: number;
  readonly init: InitMethod;
  /** Numbers other than signs in float32; default: float16. */
  readonly float32?: boolean;
  /** Refuses weights that don't follow from the seed, instead of storing them. */
  readonly seedOnly?: boolean;
  /** How masks follow from the seed; null: they don't. Left out, each is tried, which takes as long as drawing its weights. */
  readonly masks?: "shuffle" | "random" | null;
}

/** The parts of a description that a network itself gives, and its tensors. */
export interface PabContents extends Pick<Description, "graph" | "tensors" | "seed" | "init"> {
  readonly values: ReadonlyMap<string, PabTensor>;
  /** The initial weights, as far as they were drawn. */
  readonly initial: ReadonlyMap<string, Float32Array>;
  /** The convolutions whose weights don't follow from the seed: they were stored. */
  readonly stored: readonly string[];
}

/**
 * A network as a .pab file holds it: its graph with each BatchNorm folded, and its tensors as they take effect.
 * @throws {UserError} for an operation that has no place in a graph, and for weights that no seed gives where these are asked for.
 */
export function pabOf(network: Network, options: PabOptions): PabContents {
  const { graph, values } = effectiveGraph(network);
  const initial = new Map<string, Float32Array>();
  const described = [...values].map((entry) => describe(entry, network, options, initial));
  const stored = described
    .filter(({ shape, stored: as }) => shape.length === 4 && as !== "signs")
    .map(({ name }) => name);
  return { graph, seed: options.seed, init: options.init, tensors: described, values, initial, stored };
}

/**
 * The graph of a network with each BatchNorm folded, and the tensors that it names as they take effect.
 * @throws {UserError} for an operation that has no place in a graph.
 */
export function effectiveGraph(network: Network): { graph: Graph; values: Map<string, PabTensor> } {
  const twin = network.plainTwin();
  try {
    const traced = graphOf(twin.module, network.imageShape);
    const graph = withInputScales(traced.graph, scaledLayers(network));
    const named = new Set(graph.nodes.flatMap(namesIn));
    const values = scope(() => effectiveValues(network, traced.norms));
    return { graph, values: new Map([...values].filter(([name]) => named.has(name))) };
  } finally {
    twin.dispose();
  }
}

/** The layers of a Seed network whose input channels have a learned factor, by the state name of their weight. */
export function scaledLayers(network: Network): Map<string, MaskedConv2d> {
  const layers = new Map<string, MaskedConv2d>();
  for (const [name, layer] of network.prunable())
    if (layer instanceof MaskedConv2d && layer.latent?.options.scalingInput === true) layers.set(name, layer);
  return layers;
}

/** The name of such factors. */
export function inputScale(weight: string): string {
  return weight.replace(/weight$/, "scale");
}

/** The graph with a node before each of these convolutions that multiplies its input channels. */
export function withInputScales({ input, nodes }: Graph, scaled: ReadonlyMap<string, unknown>): Graph {
  const renamed = [0];
  const all: GraphNode[] = [];
  for (const node of nodes) {
    const inputs = node.inputs.map((value) => renamed[value] ?? 0);
    if (node.op === "conv2d" && scaled.has(node.weight)) {
      all.push({ op: "affine", inputs: [inputs[0] ?? 0], scale: inputScale(node.weight) });
      inputs[0] = all.length;
    }
    all.push({ ...node, inputs } as unknown as GraphNode);
    renamed.push(all.length);
  }
  return { input, nodes: all };
}

function namesIn(node: object): string[] {
  const { weight, bias, scale, shift } = node as Partial<Record<"weight" | "bias" | "scale" | "shift", string>>;
  return [weight, bias, scale, shift].filter((name) => name !== undefined);
}

/** The values of all tensors by name, in the state's order. */
function effectiveValues(network: Network, norms: readonly FoldedNorm[]): Map<string, PabTensor> {
  const state = network.effectiveState();
  const masks = network.masks();
  const floats = (name: string) => toArray(state.get(name), name);
  const values = new Map<string, PabTensor>();
  for (const [name, { latent, weight, mask }] of scaledLayers(network)) {
    if (latent === null) continue;
    const unscaled = latent.unscaled(weight).detach();
    state.set(name, mask === null ? unscaled : ops.mul(unscaled, mask));
    const scale = latent.parameters.get("scale");
    const data = toArray(scale, name);
    values.set(inputScale(name), { shape: [data.length], data, mask: null });
  }
  for (const [name, tensor] of state) {
    const norm = norms.find(({ prefix }) => name === `${prefix}weight`);
    if (norm !== undefined) {
      for (const [own, data] of folded(norm, floats)) values.set(own, { shape: [data.length], data, mask: null });
    } else if (!norms.some(({ prefix }) => name.startsWith(prefix))) {
      const mask = masks.get(name);
      const data = floats(name);
      values.set(name, { shape: [...tensor.shape], data, mask: keptOf(network, name, data, mask) });
    }
  }
  return values;
}

/** What a mask and a latent score leave: a score cuts weights, too. */
function keptOf(network: Network, name: string, data: Float32Array, mask: Tensor | undefined): Uint8Array | null {
  const layer = network.prunable().get(name);
  const act = layer instanceof MaskedConv2d ? layer.latent?.options.act : undefined;
  const chooses = act === "pruning" || act === "ternary" || act === "edge-popup";
  if (chooses) return Uint8Array.from(data, (value) => (value === 0 ? 0 : 1));
  return mask === undefined ? null : entryOf(mask).data.slice();
}

/** γ/√(σ² + ε) and β - μ·γ/√(σ² + ε). */
function folded(
  { prefix, eps, scale, shift }: FoldedNorm,
  floats: (name: string) => Float32Array,
): [string, Float32Array][] {
  const [gamma, beta] = [floats(`${prefix}weight`), floats(`${prefix}bias`)];
  const [mean, variance] = [floats(`${prefix}running_mean`), floats(`${prefix}running_var`)];
  const factors = gamma.map((value, c) => value / Math.sqrt((variance[c] ?? 0) + eps));
  const summands = beta.map(
    (value, c) => value - ((mean[c] ?? 0) * (gamma[c] ?? 0)) / Math.sqrt((variance[c] ?? 0) + eps),
  );
  return [
    [scale, factors],
    [shift, summands],
  ];
}

function toArray(tensor: Tensor | undefined, name: string): Float32Array {
  if (tensor === undefined) throw new TypeError(`pabOf: ${name} is missing`);
  return Float32Array.from(tensor.to({ device: "cpu" }).toFloat32Array());
}

function describe(
  [name, tensor]: [string, PabTensor],
  network: Network,
  options: PabOptions,
  initial: Map<string, Float32Array>,
): TensorDescription {
  const { shape, mask } = tensor;
  const layer = network.prunable().get(name);
  const isConvolution = shape.length === 4;
  const init = layer instanceof MaskedConv2d || isConvolution ? options.init : "standard";
  if (isConvolution) initial.set(name, initialiseWeight(init, options.seed, name, shape));
  const seeded = isConvolution && growsFromSeed(tensor, initial.get(name) ?? new Float32Array());
  if (isConvolution && !seeded && options.seedOnly === true) throw notFromSeed(name, options.seed);
  const masked: MaskedBy = mask === null ? "all" : maskRule(name, shape, mask, options);
  const stored: StoredAs = seeded ? "signs" : options.float32 === true ? "float32" : "float16";
  return { name, shape, stored, mask: masked, init: shape.length >= 2 ? init : options.init };
}

function maskRule(name: string, shape: readonly number[], mask: Uint8Array, { masks, seed }: PabOptions): MaskedBy {
  if (masks !== undefined) return masks ?? "model";
  const kept = mask.reduce((sum, one) => sum + one, 0);
  const follows = (rule: typeof shuffledMask) => Buffer.compare(rule(seed, name, shape, kept), mask) === 0;
  if (follows(shuffledMask)) return "shuffle";
  return follows(randomMask) ? "random" : "model";
}

function notFromSeed(name: string, seed: number): UserError {
  return new UserError({
    operation: "export",
    argument: quoted(name),
    expected: `the weights that seed ${seed} gives, but for their signs`,
    received: "others",
    remedy: `leave out ${setting("seedOnly")} to store them, or train with BOP from random weights`,
  });
}
