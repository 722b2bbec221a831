import { UserError } from "@peekaboo/files/errors";
import { numel } from "@peekaboo/files/safetensors";
import type { Graph, GraphNode, GroupNormNode, Pair, PoolNode, Shape } from "./graph.js";

/** The most numbers that one value of a graph may have: a gigabyte of them would be no image's. */
const MAX_VALUE = 2 ** 27;
/** The most multiplications, and numbers to write, that one image may take: a thousand times ResNet-50's. */
const MAX_WORK = 2 ** 42;
/** What is added to a variance: less would vanish beside it, and leave a division by 0. */
const LEAST_EPS = 1e-12;

/** What {@link shapesOf} has to know of a tensor. */
type Named = ReadonlyMap<string, { readonly shape: readonly number[] }>;

/**
 * The shape of every value of a graph, the image's first; nothing is computed.
 * @throws {UserError} when a node takes a value that isn't there yet, a tensor of another shape than it needs, or more room
 * or work than any network for images.
 */
export function shapesOf({ input, nodes }: Graph, tensors: Named): Shape[] {
  const shapes: Shape[] = [sane(input, "the image")];
  let work = 0;
  nodes.forEach((node, index) => {
    const where = `node ${index} (${node.op})`;
    const inputs = node.inputs.map(
      (value) => shapes[value] ?? refuse(where, `a value from 0 to ${index}`, String(value)),
    );
    const [first = input] = inputs;
    const needs = new TensorCheck(where, tensors);
    shapes.push(sane(outputOf(node, first, inputs, needs, where), where));
    work += workOf(node, shapes[index + 1] ?? first, needs);
  });
  if (work > MAX_WORK) refuse("the graph", `at most ${MAX_WORK} multiplications for an image`, String(work));
  return shapes;
}

function outputOf(node: GraphNode, first: Shape, inputs: readonly Shape[], needs: TensorCheck, where: string): Shape {
  const [channels, height, width] = first;
  switch (node.op) {
    case "conv2d": {
      const { groups, stride, padding, dilation } = node;
      const [out = 0, , kernelHeight = 0, kernelWidth = 0] = needs.rank(node.weight, 4);
      divides(where, groups, channels, out);
      needs.shape(node.weight, [out, channels / groups, kernelHeight, kernelWidth]);
      if (node.bias !== undefined) needs.shape(node.bias, [out]);
      const window = { kernel: [kernelHeight, kernelWidth] as const, stride, padding, dilation };
      return [out, ...slid(first, window, where)];
    }
    case "group_norm":
    case "affine":
      if (node.op === "group_norm") checkNorm(node, channels, where);
      needs.shape(node.scale, [channels]);
      if (node.shift !== undefined) needs.shape(node.shift, [channels]);
      return first;
    case "relu":
    case "sigmoid":
    case "silu":
    case "gelu":
      return first;
    case "add":
      if (String(inputs[0]) !== String(inputs[1])) refuse(where, "two values of one shape", inputs.join(" and "));
      return first;
    case "concat":
      if (inputs.some(([, ...size]) => size[0] !== height || size[1] !== width))
        refuse(where, "values of one height and width", inputs.slice(0, 4).join(" and "));
      return [inputs.reduce((sum, [count]) => sum + count, 0), height, width];
    case "max_pool2d":
    case "avg_pool2d":
      return [channels, ...pooled(first, node, where)];
    case "subsample":
      count(where, "channels before and after", node.before, node.after);
      count(where, "strides from 1 up", ...node.stride.map((side) => side - 1));
      return [
        node.before + channels + node.after,
        Math.ceil(height / node.stride[0]),
        Math.ceil(width / node.stride[1]),
      ];
    case "reshape":
      if (numel(sane(node.shape, where)) !== numel(first))
        refuse(where, `a shape of ${numel(first)} numbers`, node.shape.join("×"));
      return node.shape;
    case "linear": {
      const [out = 0] = needs.rank(node.weight, 2);
      needs.shape(node.weight, [out, numel(first)]);
      if (node.bias !== undefined) needs.shape(node.bias, [out]);
      return [out, 1, 1];
    }
  }
}

function checkNorm({ groups, eps }: GroupNormNode, channels: number, where: string): void {
  divides(where, groups, channels);
  if (!(eps >= LEAST_EPS && eps < Number.POSITIVE_INFINITY)) refuse(where, `an eps from ${LEAST_EPS} up`, String(eps));
}

interface Window {
  kernel: Pair;
  stride: Pair;
  padding: Pair;
  dilation: Pair;
}

/** Height and width of what a window leaves that slides over an image: floor((size + 2·padding - extent) / stride) + 1. */
function slid([, ...sides]: Shape, { kernel, stride, padding, dilation }: Window, where: string): [number, number] {
  count(
    where,
    "kernels, strides and dilations from 1 up",
    ...[...kernel, ...stride, ...dilation].map((side) => side - 1),
  );
  count(where, "paddings from 0 up", ...padding);
  const [height, width] = sides.map((side, axis) => {
    const [k = 1, s = 1, p = 0, d = 1] = [kernel[axis], stride[axis], padding[axis], dilation[axis]];
    return Math.floor((side + 2 * p - d * (k - 1) - 1) / s) + 1;
  });
  return [height ?? 0, width ?? 0];
}

function pooled(shape: Shape, { op, kernel, stride, padding, dilation }: PoolNode, where: string): [number, number] {
  // PyTorch's own bound: no window lies in the padding alone.
  if (kernel.some((side, axis) => 2 * (padding[axis] ?? 0) > side))
    refuse(where, "paddings of at most half a kernel", padding.join("×"));
  // Nor does one step over the image from padding to padding.
  const [, ...sides] = shape;
  if (dilation?.some((step, axis) => op === "avg_pool2d" || step > (sides[axis] ?? 0)))
    refuse(where, "dilations of a maximum, at most the image's sides", dilation.join("×"));
  return slid(shape, { kernel, stride, padding, dilation: dilation ?? [1, 1] }, where);
}

function workOf(node: GraphNode, shape: Shape, needs: TensorCheck): number {
  const [, height, width] = shape;
  if (node.op === "linear") return needs.size(node.weight);
  if (node.op === "conv2d") return needs.size(node.weight) * height * width;
  return node.op === "max_pool2d" || node.op === "avg_pool2d" ? numel(shape) * numel(node.kernel) : numel(shape);
}

/** Looks up what a node names. */
class TensorCheck {
  constructor(
    readonly where: string,
    readonly tensors: Named,
  ) {}

  #of(name: string): readonly number[] {
    return this.tensors.get(name)?.shape ?? refuse(this.where, "a tensor that is there", name);
  }

  size(name: string): number {
    return numel(this.#of(name));
  }

  rank(name: string, rank: number): readonly number[] {
    const shape = this.#of(name);
    return shape.length === rank
      ? shape
      : refuse(this.where, `${name} with ${rank} dimensions`, `[${shape.join(", ")}]`);
  }

  shape(name: string, expected: readonly number[]): void {
    const shape = this.#of(name);
    if (shape.join() !== expected.join())
      refuse(this.where, `${name} of shape [${expected.join(", ")}]`, `[${shape.join(", ")}]`);
  }
}

function sane(shape: Shape, where: string): Shape {
  const whole = shape.length === 3 && shape.every((side) => Number.isSafeInteger(side) && side > 0);
  if (!whole || shape.reduce((product, side) => product * side, 1) > MAX_VALUE)
    refuse(where, `three positive sizes, at most ${MAX_VALUE} numbers`, shape.join("×"));
  return shape;
}

function divides(where: string, groups: number, ...channels: readonly number[]): void {
  const whole = Number.isSafeInteger(groups) && groups >= 1;
  if (!whole || channels.some((count) => count % groups !== 0))
    refuse(where, `groups that divide ${channels.join(" and ")} channels`, String(groups));
}

function count(where: string, expected: string, ...values: readonly number[]): void {
  if (values.some((value) => !Number.isSafeInteger(value) || value < 0 || value > MAX_VALUE))
    refuse(where, expected, "others");
}

function refuse(argument: string, expected: string, received: string): never {
  throw new UserError({ operation: "read a network's graph", argument, expected, received });
}
