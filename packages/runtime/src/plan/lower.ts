import type { AddNode, Graph, GraphNode, GraphTensor, Pair, Shape } from "@peekaboo/seed";
import { isWindow, type Layer, PIXEL, type WindowLayer } from "./layer.js";

type Tensors = ReadonlyMap<string, GraphTensor>;
/** Those that no window computes. */
type OtherNode = Extract<GraphNode, { op: "reshape" | "sigmoid" | "silu" | "gelu" | "group_norm" | "concat" }>;
type WindowNode = Exclude<GraphNode, OtherNode>;

/** The layers of a graph, in an order in which they can be computed, and the value that is the logits. */
export interface Lowered {
  readonly layers: readonly Layer[];
  readonly result: number;
}

/**
 * Turns nodes into layers, and lets a layer take in what follows it: `affine`, then `add`, then `relu`, where nobody else reads
 * what lies between. `shapes` are those of all values, as `shapesOf` gives them.
 */
export function lower(graph: Graph, tensors: Tensors, shapes: readonly Shape[]): Lowered {
  const nodes = graph.nodes.map((node) => asLinear(node, shapes, tensors));
  const links = new Links(nodes, shapes);
  const absorbed = new Set<number>();
  const placed: { at: number; layer: Layer }[] = [];
  nodes.forEach((node, index) => {
    if (absorbed.has(index) || links.same.has(index + 1)) return;
    const layer = layerOf(node, index + 1, links, tensors, shapes);
    let at = index;
    for (let next = links.soleReader(at + 1); next !== undefined; next = links.soleReader(at + 1)) {
      const follower = nodes[next];
      if (!isWindow(layer) || follower === undefined || absorbed.has(next)) break;
      if (!absorb(layer, follower, links, tensors)) break;
      absorbed.add(next);
      at = next;
      layer.output = at + 1;
    }
    placed.push({ at, layer });
  });
  // A layer is computed where its last node stood: by then the residual is there.
  placed.sort((a, b) => a.at - b.at);
  return { layers: placed.map(({ layer }) => layer), result: links.resolve(nodes.length) };
}

/** A convolution of 1 × 1 pixels of one, which some networks have for `linear`, as that: its input's shape doesn't matter then. */
function asLinear(node: GraphNode, shapes: readonly Shape[], tensors: Tensors): GraphNode {
  if (node.op !== "conv2d" || node.groups !== 1) return node;
  const [, ...input] = shapes[node.inputs[0]] ?? [];
  const [, , ...kernel] = tensorOf(tensors, node.weight).shape;
  if ([...input, ...kernel].some((side) => side !== 1) || node.padding.some((side) => side !== 0)) return node;
  const { inputs, weight, bias } = node;
  return { op: "linear", inputs, weight, ...(bias !== undefined && { bias }) };
}

/** Who reads which value. */
class Links {
  /** The values that hold the numbers of an earlier one in the same order, where nobody asks for their shape. */
  readonly same = new Map<number, number>();
  readonly #readers: number[][];

  constructor(
    readonly nodes: readonly GraphNode[],
    shapes: readonly Shape[],
  ) {
    this.#readers = shapes.map(() => []);
    nodes.forEach((node, index) => {
      for (const input of node.inputs) this.#readers[input]?.push(index);
    });
    nodes.forEach((node, index) => {
      if (node.op !== "reshape") return;
      const equal = String(shapes[index + 1]) === String(shapes[node.inputs[0]]);
      if (equal || this.#shapeless(index + 1)) this.same.set(index + 1, this.resolve(node.inputs[0]));
    });
  }

  #shapeless(value: number): boolean {
    const readers = this.#readers[value] ?? [];
    return readers.every((reader) => ["linear", "reshape"].includes(this.nodes[reader]?.op ?? ""));
  }

  /** The value that a value's numbers lie in. */
  resolve(value: number): number {
    return this.same.get(value) ?? value;
  }

  /** The only node that reads a value, if there is just one, it reads it once, and the value is not the logits. */
  soleReader(value: number): number | undefined {
    const readers = this.#readers[value] ?? [];
    return readers.length === 1 && value !== this.nodes.length ? readers[0] : undefined;
  }
}

/** Whether `layer` now computes what the node after it did. */
function absorb(layer: WindowLayer, node: GraphNode, links: Links, tensors: Tensors): boolean {
  if (layer.relu) return false;
  if (node.op === "relu") {
    layer.relu = true;
    return true;
  }
  if (layer.kind === "max" || layer.residual !== undefined) return false;
  if (node.op === "affine") {
    const { scale, shift } = affineOf(node, tensors);
    layer.scale = layer.scale.map((value, channel) => value * (scale[channel] ?? 0));
    layer.shift = layer.shift.map((value, channel) => value * (scale[channel] ?? 0) + (shift?.[channel] ?? 0));
    return true;
  }
  if (node.op !== "add") return false;
  layer.residual = otherOf(node, layer.output, links);
  return true;
}

function otherOf({ inputs: [a, b] }: AddNode, one: number, links: Links): number {
  return links.resolve(a === one ? b : a);
}

function layerOf(node: GraphNode, output: number, links: Links, tensors: Tensors, shapes: readonly Shape[]): Layer {
  const input = links.resolve(node.inputs[0]);
  switch (node.op) {
    case "reshape":
      return { kind: "reshape", input, output };
    case "sigmoid":
    case "silu":
      return { kind: "curve", curve: node.op, input, output };
    case "gelu":
      return { kind: "curve", curve: node.approximate === "tanh" ? "gelu_tanh" : "gelu", input, output };
    case "group_norm":
      return { kind: "norm", groups: node.groups, eps: node.eps, ...affineOf(node, tensors), input, output };
    case "concat":
      return { kind: "join", input, others: node.inputs.slice(1).map((value) => links.resolve(value)), output };
    default:
      return windowOf(node, input, output, links, tensors, shapes);
  }
}

function windowOf(
  node: WindowNode,
  input: number,
  output: number,
  links: Links,
  tensors: Tensors,
  shapes: readonly Shape[],
): WindowLayer {
  const [channels = 0] = shapes[output] ?? [];
  const layer: WindowLayer = {
    kind: "sum",
    input,
    output,
    relu: node.op === "relu",
    scale: new Float64Array(channels).fill(1),
    shift: new Float64Array(channels),
    ...reductionOf(node, channels, shapes[input] ?? [0, 0, 0], tensors),
  };
  if (node.op === "add") layer.residual = links.resolve(node.inputs[1]);
  return layer;
}

/** What a node reads and how it reduces it to `channels` channels; `source` is its input's shape. */
function reductionOf(node: WindowNode, channels: number, source: Shape, tensors: Tensors) {
  const each = { ...PIXEL, depth: 1, firstChannel: (output: number) => output };
  switch (node.op) {
    case "conv2d": {
      const { stride, padding, dilation } = node;
      const [, depth, ...kernel] = tensorOf(tensors, node.weight).shape;
      const firstChannel = (output: number) => Math.floor((output * node.groups) / channels) * (depth ?? 0);
      const window = { kernel: pair(kernel), stride, padding, dilation };
      return { ...window, depth: depth ?? 0, firstChannel, ...weighted(node, tensors) };
    }
    case "linear":
      return {
        ...PIXEL,
        kernel: pair(source.slice(1)),
        depth: source[0],
        firstChannel: () => 0,
        ...weighted(node, tensors),
      };
    case "affine": {
      const { scale: weight, shift } = affineOf(node, tensors);
      return { ...each, weight, ...(shift && { shift: Float64Array.from(shift) }) };
    }
    case "relu":
    case "add":
      return { ...each, weight: new Float32Array(channels).fill(1) };
    case "max_pool2d":
    case "avg_pool2d": {
      const { kernel, stride, padding, dilation = PIXEL.dilation } = node;
      const area = kernel[0] * kernel[1];
      const weight = new Float32Array(channels * area).fill(1);
      const window = { ...each, kernel, stride, padding, dilation, weight };
      const none = { kind: "max" as const, shift: new Float64Array(channels).fill(Number.NEGATIVE_INFINITY) };
      return node.op === "max_pool2d"
        ? { ...window, ...none }
        : { ...window, scale: new Float64Array(channels).fill(1 / area) };
    }
    case "subsample": {
      const weight = new Float32Array(channels).fill(1, node.before, channels - node.after);
      return { ...each, stride: node.stride, firstChannel: (output: number) => output - node.before, weight };
    }
  }
}

function weighted(node: { weight: string; bias?: string }, tensors: Tensors) {
  const { data: weight } = tensorOf(tensors, node.weight);
  if (node.bias === undefined) return { weight };
  return { weight, shift: Float64Array.from(tensorOf(tensors, node.bias).data) };
}

function affineOf(node: { scale: string; shift?: string }, tensors: Tensors) {
  const shift = node.shift === undefined ? undefined : tensorOf(tensors, node.shift).data;
  return { scale: tensorOf(tensors, node.scale).data, shift };
}

/** `shapesOf` has seen that it is there. */
function tensorOf(tensors: Tensors, name: string): GraphTensor {
  const tensor = tensors.get(name);
  if (tensor === undefined) throw new RangeError(`no tensor ${name}`);
  return tensor;
}

function pair([vertical = 0, horizontal = 0]: readonly number[]): Pair {
  return [vertical, horizontal];
}
