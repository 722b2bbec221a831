import { UserError } from "@peekaboo/files/errors";
import type { Graph, GraphNode, Pair, Shape } from "@peekaboo/seed";
import {
  type Handle,
  handleOf,
  type nn,
  noGrad,
  scope,
  shapeOfHandle,
  type Tensor,
  watchCalls,
  zeros,
} from "@peekaboo/torch";

/** A trained BatchNorm, whose four tensors become a scale and a shift. */
export interface FoldedNorm {
  /** The state names of its tensors begin with this. */
  readonly prefix: string;
  readonly eps: number;
  /** The names of what it becomes. */
  readonly scale: string;
  readonly shift: string;
}

/** What a module computes, and what of its state the graph's tensors come from. */
export interface TracedGraph {
  readonly graph: Graph;
  /** Every BatchNorm of the graph; other tensors have the graph's names in the state. */
  readonly norms: readonly FoldedNorm[];
}

/**
 * The graph of a module, read off one forward pass in evaluation mode: of any module whose pass for images consists of the
 * operators of {@link GraphNode}.
 * @throws {UserError} naming the operator that has no place in a graph.
 */
export function graphOf(module: nn.Module, input: Shape): TracedGraph {
  const wasTraining = module.training;
  module.eval();
  try {
    return scope(() =>
      noGrad(() => {
        const image = zeros([1, ...input], { dtype: "float32", device: deviceOf(module) });
        const tracer = new Tracer(module, image, input);
        const output = watchCalls(tracer.hear, () => module.call(image));
        return tracer.finish(output);
      }),
    );
  } finally {
    module.train(wasTraining);
  }
}

function deviceOf(module: nn.Module): string {
  for (const [, tensor] of module.namedParameters()) return tensor.device;
  return "cpu";
}

/** The arguments of an operator's call by its schema's order. */
type Args = readonly unknown[];

class Tracer {
  /** The value that each tensor of the pass holds. */
  readonly #values = new Map<unknown, number>();
  readonly #names = new Map<unknown, string>();
  readonly #nodes: GraphNode[] = [];
  readonly #norms: FoldedNorm[] = [];
  /** The image's shape after each value, as far as it is known to matter. */
  readonly #shapes: Shape[];
  #failure: UserError | null = null;
  readonly #strided = new Map<number, { from: number; stride: [number, number] }>();

  constructor(module: nn.Module, image: Tensor, input: Shape) {
    this.#values.set(handleOf(image), 0);
    this.#shapes = [input];
    for (const [name, tensor] of module.stateDict()) this.#names.set(handleOf(tensor), name);
  }

  /** Hears of each call; a failure is kept for the end, since it must not be taken for one of libtorch's. */
  readonly hear = (operator: string, args: Args, result: unknown): void => {
    if (this.#failure !== null || !args.flat().some((arg) => this.#values.has(arg))) return;
    try {
      // Of several results, the first is what counts: a maximum comes with its place.
      const [made] = [result].flat();
      const value = this.#node(operator.replace(/^\w+::/, "").replace(/\..*$/, ""), args, made);
      this.#values.set(made, value);
      // What an operator changes in place is its result from then on.
      if (/_$/.test(operator.replace(/\..*$/, ""))) this.#values.set(args[0], value);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      this.#failure = error;
    }
  };

  finish(output: Tensor): TracedGraph {
    if (this.#failure !== null) throw this.#failure;
    const value = this.#values.get(handleOf(output));
    if (value !== this.#nodes.length || value === 0)
      throw unknown("the output", "the result of the last operation on the image", "another tensor");
    return { graph: { input: this.#shapes[0] ?? [0, 0, 0], nodes: this.#nodes }, norms: this.#norms };
  }

  #node(operator: string, args: Args, result: unknown): number {
    const [first, second, third, ...more] = args;
    if (operator === "cat") return this.#joined(first, second, result);
    const inputs = [this.#value(first, operator)] as const;
    switch (operator) {
      case "conv2d": {
        const [stride = 1, padding = 0, dilation = 1, groups = 1] = more;
        const window = {
          stride: pair(stride),
          padding: pair(padding),
          dilation: pair(dilation),
          groups: Number(groups),
        };
        return this.#push({ op: "conv2d", inputs, ...this.#weights(second, third, operator), ...window }, result);
      }
      case "linear":
        return this.#push({ op: "linear", inputs, ...this.#weights(second, third, operator) }, result);
      case "batch_norm":
        return this.#push({ op: "affine", inputs, ...this.#norm(args) }, result);
      case "group_norm": {
        const [bias, eps = 1e-5] = more;
        const { weight: scale, bias: shift } = this.#weights(third, bias, operator);
        const named = shift === undefined ? { scale } : { scale, shift };
        return this.#push({ op: "group_norm", inputs, ...named, groups: Number(second), eps: Number(eps) }, result);
      }
      case "relu":
      case "relu_":
        return this.#push({ op: "relu", inputs }, result);
      case "sigmoid":
      case "silu":
        return this.#push({ op: operator, inputs }, result);
      case "gelu":
        return this.#push({ op: "gelu", inputs, approximate: second === "tanh" ? "tanh" : "none" }, result);
      case "add":
      case "add_":
        if ((third ?? 1) !== 1) throw unknown(operator, "a sum of two tensors", "a multiple of one");
        return this.#push({ op: "add", inputs: [inputs[0], this.#value(second, operator)] }, result);
      case "max_pool2d": {
        const [dilation = 1, ceil = false] = more.slice(1);
        if (ceil === true) throw unknown(operator, "whole windows", "ceil_mode");
        const dilated = String(pair(dilation)) === "1,1" ? {} : { dilation: pair(dilation) };
        return this.#push({ op: "max_pool2d", inputs, ...window(second, third, more[0]), ...dilated }, result);
      }
      case "avg_pool2d": {
        const [ceil = false, counts = true, divisor] = more.slice(1);
        if (ceil === true || counts === false || (divisor ?? null) !== null)
          throw unknown(operator, "means over all of each window", "another divisor");
        return this.#push({ op: "avg_pool2d", inputs, ...window(second, third, more[0]) }, result);
      }
      case "adaptive_avg_pool2d":
        return this.#push({ op: "avg_pool2d", inputs, ...adaptive(this.#shapes[inputs[0]], second, operator) }, result);
      case "adaptive_max_pool2d":
        return this.#push({ op: "max_pool2d", inputs, ...adaptive(this.#shapes[inputs[0]], second, operator) }, result);
      case "flatten":
      case "reshape":
      case "view":
        return this.#push({ op: "reshape", inputs, shape: shapeOf(result) }, result);
      case "slice":
        return this.#slice(inputs[0], args, result);
      case "constant_pad_nd":
        return this.#pad(inputs[0], args, result);
      case "dropout":
      case "detach":
      case "alias":
      case "contiguous":
        return inputs[0];
      default:
        throw unknown(operator, "an operation that a .pab file can hold", "none of these");
    }
  }

  #joined(parts: unknown, dim: unknown, result: unknown): number {
    if (dim !== 1 && dim !== -3) throw unknown("cat", "channels of images [N, C, H, W]", `dimension ${dim ?? 0}`);
    const [first = 0, second, ...others] = [parts].flat().map((part) => this.#value(part, "cat"));
    if (second === undefined) return first;
    return this.#push({ op: "concat", inputs: [first, second, ...others] }, result);
  }

  #push(node: GraphNode, result: unknown): number {
    this.#nodes.push(node);
    this.#shapes.push(shapeOf(result));
    return this.#nodes.length;
  }

  #value(handle: unknown, operator: string): number {
    const value = this.#values.get(handle);
    if (value === undefined) throw unknown(operator, "what is computed from the image", "another tensor");
    return value;
  }

  #name(handle: unknown, operator: string): string {
    const name = this.#names.get(handle);
    if (name === undefined) throw unknown(operator, "a weight of the module's state", "another tensor");
    return name;
  }

  #weights(weight: unknown, bias: unknown, operator: string): { weight: string; bias?: string } {
    const named = { weight: this.#name(weight, operator) };
    return bias === null || bias === undefined ? named : { ...named, bias: this.#name(bias, operator) };
  }

  #norm([, weight, , , , , , eps]: Args): { scale: string; shift: string } {
    const prefix = this.#name(weight, "batch_norm").replace(/weight$/, "");
    const norm = { prefix, eps: Number(eps), scale: `${prefix}scale`, shift: `${prefix}shift` };
    if (!this.#norms.some((known) => known.prefix === prefix)) this.#norms.push(norm);
    return { scale: norm.scale, shift: norm.shift };
  }

  /** Every n-th row, then every n-th column: one node of both, which the second replaces. */
  #slice(from: number, [, dim, start, end, step = 1]: Args, result: unknown): number {
    const axis = Number(dim) - 2;
    const size = this.#shapes[from]?.[axis + 1] ?? 0;
    if ((axis !== 0 && axis !== 1) || Number(start) !== 0 || Number(end) < size)
      throw unknown("slice", "every n-th row and column of the whole image", "another part");
    const before = this.#strided.get(from) ?? { from, stride: [1, 1] as [number, number] };
    const stride: [number, number] = [...before.stride];
    stride[axis] = (stride[axis] ?? 1) * Number(step);
    if (before.from !== from && from === this.#nodes.length) {
      this.#nodes.pop();
      this.#shapes.pop();
    }
    const value = this.#push({ op: "subsample", inputs: [before.from], stride, before: 0, after: 0 }, result);
    this.#strided.set(value, { from: before.from, stride });
    return value;
  }

  #pad(from: number, [, pad, value = 0]: Args, result: unknown): number {
    const [left = 0, right = 0, top = 0, bottom = 0, before = 0, after = 0] = pad as number[];
    if (value !== 0 || [left, right, top, bottom].some((size) => size !== 0))
      throw unknown("pad", "channels of zeros", "something else");
    const strided = this.#strided.get(from);
    if (strided !== undefined && from === this.#nodes.length) {
      this.#nodes.pop();
      this.#shapes.pop();
    }
    const { from: source = from, stride = [1, 1] as const } = strided ?? {};
    return this.#push({ op: "subsample", inputs: [source], stride, before, after }, result);
  }
}

function window(kernel: unknown, stride: unknown, padding: unknown) {
  const own = pair(kernel);
  const slides = Array.isArray(stride) && stride.length === 0 ? own : pair(stride ?? own);
  return { kernel: own, stride: slides, padding: pair(padding ?? 0) };
}

/** The windows that leave `size`; only those that are all alike are a pooling of one kernel. */
function adaptive([, height, width]: Shape = [0, 0, 0], size: unknown, operator: string) {
  const [rows, columns] = pair(size);
  if (height % rows !== 0 || width % columns !== 0)
    throw unknown(operator, `a size that divides ${height} × ${width}`, `${rows} × ${columns}`);
  const kernel: Pair = [height / rows, width / columns];
  return { kernel, stride: kernel, padding: [0, 0] as const };
}

function pair(value: unknown): Pair {
  const [first = 0, second = first] = Array.isArray(value) ? value.map(Number) : [Number(value)];
  return [first, second];
}

/** [C, H, W] of a tensor [1, C, H, W], or [1, C] as [C, 1, 1]. */
function shapeOf(handle: unknown): Shape {
  const [, channels = 0, height = 1, width = 1] = shapeOfHandle(handle as Handle);
  return [channels, height, width];
}

function unknown(operator: string, expected: string, received: string): UserError {
  return new UserError({
    operation: "describe the network",
    argument: operator,
    expected,
    received,
    remedy:
      "a network whose forward pass has convolutions, BatchNorm or GroupNorm, ReLU, sigmoid, SiLU, GELU, sums, joined channels, poolings and Linear can be described",
  });
}
