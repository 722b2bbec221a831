// What a graph computes, in float64 and by definition: each output is looked for in the inputs that it depends on.
import { type Graph, type GraphNode, type GraphTensor, type Pair, type Shape, shapesOf } from "@peekaboo/seed";

interface Value {
  readonly shape: Shape;
  readonly data: Float64Array;
}

type Tensors = ReadonlyMap<string, GraphTensor>;

/** The logits of one normalised image [C, H, W]. */
export function reference(graph: Graph, tensors: Tensors, image: Float32Array): Float64Array {
  const shapes = shapesOf(graph, tensors);
  const values: Value[] = [{ shape: graph.input, data: Float64Array.from(image) }];
  graph.nodes.forEach((node, index) => {
    const inputs = node.inputs.map((input) => values[input] ?? fail());
    values.push(compute(node, inputs, shapes[index + 1] ?? fail(), tensors));
  });
  return (values.at(-1) ?? fail()).data;
}

/** A value outside of the image is `undefined`. */
function at({ shape: [channels, height, width], data }: Value, channel: number, y: number, x: number) {
  if (channel < 0 || channel >= channels || y < 0 || y >= height || x < 0 || x >= width) return undefined;
  return data[(channel * height + y) * width + x];
}

function generate(shape: Shape, value: (channel: number, y: number, x: number) => number): Value {
  const [channels, height, width] = shape;
  const data = new Float64Array(channels * height * width);
  let next = 0;
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) data[next++] = value(c, y, x);
  }
  return { shape, data };
}

function compute(node: GraphNode, inputs: readonly Value[], shape: Shape, tensors: Tensors): Value {
  const [a = fail(), b] = inputs;
  const tensor = (name: string | undefined, index: number) =>
    name === undefined ? 0 : ((tensors.get(name) ?? fail()).data[index] ?? fail());
  switch (node.op) {
    case "conv2d": {
      const [out = 0, depth = 0, height = 0, width = 0] = tensors.get(node.weight)?.shape ?? [];
      return generate(shape, (channel, y, x) => {
        const base = Math.floor(channel / (out / node.groups)) * depth;
        let sum = tensor(node.bias, channel);
        for (let c = 0; c < depth; c++) {
          for (const { k, value } of window(a, [height, width], node, node.dilation, base + c, y, x)) {
            sum += tensor(node.weight, (channel * depth + c) * height * width + k) * (value ?? 0);
          }
        }
        return sum;
      });
    }
    case "affine":
      return generate(shape, (c, y, x) => tensor(node.scale, c) * (at(a, c, y, x) ?? 0) + tensor(node.shift, c));
    case "group_norm": {
      const part = a.data.length / node.groups;
      return generate(shape, (c, y, x) => {
        const first = Math.floor((c * node.groups) / shape[0]) * part;
        const group = a.data.subarray(first, first + part);
        const mean = group.reduce((sum, value) => sum + value / part, 0);
        const variance = group.reduce((sum, value) => sum + (value - mean) ** 2 / part, 0);
        const normal = ((at(a, c, y, x) ?? 0) - mean) / Math.sqrt(variance + node.eps);
        return tensor(node.scale, c) * normal + tensor(node.shift, c);
      });
    }
    case "relu":
      return { shape, data: a.data.map((value) => Math.max(0, value)) };
    case "sigmoid":
      return { shape, data: a.data.map((value) => 1 / (1 + Math.exp(-value))) };
    case "silu":
      return { shape, data: a.data.map((value) => value / (1 + Math.exp(-value))) };
    case "gelu":
      return { shape, data: a.data.map(node.approximate === "none" ? gelu : geluByTanh) };
    case "add":
      return generate(shape, (c, y, x) => (at(a, c, y, x) ?? 0) + (at(b ?? fail(), c, y, x) ?? 0));
    case "concat":
      return { shape, data: Float64Array.from(inputs.flatMap(({ data }) => [...data])) };
    case "max_pool2d":
    case "avg_pool2d":
      return generate(shape, (c, y, x) => {
        const seen = window(a, node.kernel, node, node.dilation ?? [1, 1], c, y, x).map(({ value }) => value);
        if (node.op === "max_pool2d") return Math.max(...seen.filter((value) => value !== undefined));
        return seen.reduce<number>((sum, value) => sum + (value ?? 0), 0) / seen.length;
      });
    case "subsample":
      return generate(shape, (c, y, x) => at(a, c - node.before, y * node.stride[0], x * node.stride[1]) ?? 0);
    case "reshape":
      return { shape, data: a.data };
    case "linear":
      return generate(shape, (channel) => {
        const products = a.data.map((value, index) => value * tensor(node.weight, channel * a.data.length + index));
        return products.reduce((sum, product) => sum + product, tensor(node.bias, channel));
      });
  }
}

/** x times the integral of the normal density up to x, by Simpson's rule over all that counts. */
function gelu(x: number): number {
  const [panels, from] = [400, x < 0 ? x - 20 / (2 - x) : -7];
  const step = (x - from) / panels;
  let sum = 0;
  for (let i = 0; i <= panels; i++) {
    const weight = i === 0 || i === panels ? 1 : i % 2 === 1 ? 4 : 2;
    sum += weight * Math.exp(-0.5 * (from + i * step) ** 2);
  }
  return (x * sum * step) / 3 / Math.sqrt(2 * Math.PI);
}

function geluByTanh(x: number): number {
  return (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}

function window(
  value: Value,
  [height, width]: Pair,
  { stride, padding }: { stride: Pair; padding: Pair },
  dilation: Pair,
  channel: number,
  y: number,
  x: number,
) {
  return Array.from({ length: height * width }, (_, k) => {
    const top = y * stride[0] - padding[0] + Math.floor(k / width) * dilation[0];
    const left = x * stride[1] - padding[1] + (k % width) * dilation[1];
    return { k, value: at(value, channel, top, left) };
  });
}

function fail(): never {
  throw new Error("the reference was given less than it needs");
}
