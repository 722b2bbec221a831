import type { GraphNode, GraphTensor, GroupNormNode, Pair, PoolNode, Shape, SubsampleNode } from "@peekaboo/seed";
import { ATTRIBUTE, type AttributeProto, FLOAT, INT64, type NodeProto, type TensorProto } from "./schema.js";

/** A value's end along an axis, whatever its size. */
const END = 2 ** 31 - 1;

/** A number that is stored as a float, whole or not. */
interface Float {
  readonly float: number;
}

type Attributes = Readonly<Record<string, number | readonly number[] | Float>>;

/** Writes a graph's nodes as ONNX's operators; every value but the logits is [N, C, H, W]. */
export class NodeWriter {
  readonly nodes: NodeProto[] = [];
  readonly tensors: TensorProto[] = [];
  readonly #given: ReadonlyMap<string, GraphTensor>;
  readonly #shapes: readonly Shape[];
  readonly #output: string;
  /** The name of each value of the graph. */
  readonly #values: string[];
  readonly #taken: Set<string>;
  readonly #written = new Map<string, string>();

  constructor(
    given: ReadonlyMap<string, GraphTensor>,
    shapes: readonly Shape[],
    [input, output]: readonly [input: string, output: string],
  ) {
    this.#given = given;
    this.#shapes = shapes;
    this.#output = output;
    this.#values = [input];
    this.#taken = new Set([input, output]);
  }

  /** Writes one node; the last one's value, flat, is the output. */
  write(node: GraphNode, index: number, isLast: boolean): void {
    const inputs = node.inputs.map((value) => this.#values[value] ?? "");
    const [first = ""] = inputs;
    const shape = this.#shapes[index + 1] ?? [0, 0, 0];
    if (node.op === "linear") {
      const flat = this.#linear(first, node, isLast);
      this.#values.push(isLast ? flat : this.#reshape(flat, shape));
      return;
    }
    const value = this.#operation(node, inputs, shape);
    this.#values.push(value);
    if (isLast) this.#node("Flatten", [value], { axis: 1 }, this.#output);
  }

  #operation(node: Exclude<GraphNode, { op: "linear" }>, inputs: readonly string[], shape: Shape): string {
    const [first = ""] = inputs;
    switch (node.op) {
      case "conv2d": {
        const { weight, bias, stride, padding, dilation, groups } = node;
        const given = [first, this.#tensor(weight), ...(bias === undefined ? [] : [this.#tensor(bias)])];
        return this.#node("Conv", given, {
          dilations: dilation,
          group: groups,
          kernel_shape: this.#given.get(weight)?.shape.slice(2) ?? [],
          ...windowOf(stride, padding),
        });
      }
      case "affine":
        return this.#affine(first, node);
      case "group_norm":
        return this.#affine(this.#normalised(first, node, shape), node);
      case "relu":
        return this.#node("Relu", inputs);
      case "sigmoid":
        return this.#node("Sigmoid", inputs);
      case "silu":
        return this.#node("Mul", [first, this.#node("Sigmoid", inputs)]);
      case "gelu":
        return node.approximate === "tanh" ? this.#geluByTanh(first) : this.#gelu(first);
      case "concat":
        return this.#node("Concat", inputs, { axis: 1 });
      case "add":
        return this.#node("Add", inputs);
      case "max_pool2d":
        return this.#node("MaxPool", inputs, { ...poolOf(node), dilations: node.dilation ?? [1, 1] });
      case "avg_pool2d":
        return this.#node("AveragePool", inputs, { ...poolOf(node), count_include_pad: 1 });
      case "subsample":
        return this.#subsample(first, node);
      case "reshape":
        return this.#reshape(first, shape);
    }
  }

  #affine(input: string, { scale, shift }: { scale: string; shift?: string }): string {
    const product = this.#node("Mul", [input, this.#tensor(scale, "channels")]);
    return shift === undefined ? product : this.#node("Add", [product, this.#tensor(shift, "channels")]);
  }

  /** GroupNormalization came with a later set of operators: each group as a channel of an instance normalisation. */
  #normalised(input: string, { groups, eps }: GroupNormNode, shape: Shape): string {
    const grouped = this.#node("Reshape", [input, this.#integers([0, groups, -1])]);
    const [ones, zeros] = [this.#floats(Array(groups).fill(1)), this.#floats(Array(groups).fill(0))];
    const normal = this.#node("InstanceNormalization", [grouped, ones, zeros], { epsilon: { float: eps } });
    return this.#reshape(normal, shape);
  }

  /** x · (½ + ½ erf(x / √2)); Gelu, too, came later. */
  #gelu(input: string): string {
    const half = this.#floats([0.5]);
    const error = this.#node("Erf", [this.#node("Mul", [input, this.#floats([Math.SQRT1_2])])]);
    return this.#node("Mul", [input, this.#node("Add", [this.#node("Mul", [error, half]), half])]);
  }

  /** x · σ(2 √(2/π) · (x + 0.044715 x³)), x³ as x · x². */
  #geluByTanh(input: string): string {
    const square = this.#node("Mul", [input, input]);
    const factor = 2 * Math.sqrt(2 / Math.PI);
    const inner = this.#node("Mul", [square, this.#floats([0.044715 * factor])]);
    const sum = this.#node("Mul", [input, this.#node("Add", [inner, this.#floats([factor])])]);
    return this.#node("Mul", [input, this.#node("Sigmoid", [sum])]);
  }

  #linear(input: string, { weight, bias }: GraphNode & { op: "linear" }, isLast: boolean): string {
    const flat = this.#node("Flatten", [input], { axis: 1 });
    const given = [flat, this.#tensor(weight), ...(bias === undefined ? [] : [this.#tensor(bias)])];
    return this.#node("Gemm", given, { transB: 1 }, isLast ? this.#output : undefined);
  }

  #subsample(input: string, { stride: [rows, columns], before, after }: SubsampleNode): string {
    const whole = rows === 1 && columns === 1;
    const every = whole ? input : this.#every(input, [rows, columns]);
    if (before === 0 && after === 0) return whole ? this.#node("Identity", [input]) : every;
    return this.#node("Pad", [every, this.#integers([0, before, 0, 0, 0, after, 0, 0])]);
  }

  #every(input: string, steps: Pair): string {
    const [starts, ends, axes] = [this.#integers([0, 0]), this.#integers([END, END]), this.#integers([2, 3])];
    return this.#node("Slice", [input, starts, ends, axes, this.#integers(steps)]);
  }

  /** 0 stands for the batch's size, which stays. */
  #reshape(input: string, shape: Shape): string {
    return this.#node("Reshape", [input, this.#integers([0, ...shape])]);
  }

  #node(opType: string, input: readonly string[], attributes: Attributes = {}, output?: string): string {
    const name = this.#free(`${opType.toLowerCase()}_${this.nodes.length}`);
    const attribute = Object.entries(attributes).map(attributeOf);
    this.nodes.push({ name, opType, input, output: [output ?? name], attribute });
    return output ?? name;
  }

  /** A tensor of the network; by channels it meets values [N, C, H, W]. */
  #tensor(name: string, as: "stored" | "channels" = "stored"): string {
    const key = `${as}/${name}`;
    const known = this.#written.get(key);
    if (known !== undefined) return known;
    const { shape, data } = this.#given.get(name) ?? { shape: [], data: new Float32Array() };
    const dims = as === "channels" ? [...shape, 1, 1] : shape;
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const own = this.#add(name, dims, FLOAT, bytes);
    this.#written.set(key, own);
    return own;
  }

  #integers(values: readonly number[]): string {
    return this.#constant(values, INT64, new Uint8Array(BigInt64Array.from(values, BigInt).buffer));
  }

  #floats(values: readonly number[]): string {
    return this.#constant(values, FLOAT, new Uint8Array(Float32Array.from(values).buffer));
  }

  #constant(values: readonly number[], dataType: number, bytes: Uint8Array): string {
    const key = `${dataType}/${values}`;
    const known = this.#written.get(key);
    if (known !== undefined) return known;
    const own = this.#add(`constant_${values.slice(0, 8).join("_")}`, [values.length], dataType, bytes);
    this.#written.set(key, own);
    return own;
  }

  #add(wanted: string, dims: readonly number[], dataType: number, rawData: Uint8Array): string {
    const name = this.#free(wanted);
    this.tensors.push({ name, dims, dataType, rawData });
    return name;
  }

  /** A name that nothing else has. */
  #free(wanted: string): string {
    let name = wanted;
    while (this.#taken.has(name)) name += "_";
    this.#taken.add(name);
    return name;
  }
}

function attributeOf([name, value]: [string, Attributes[string]]): AttributeProto {
  if (typeof value === "number") return { name, type: ATTRIBUTE.int, i: value };
  return "float" in value
    ? { name, type: ATTRIBUTE.float, f: value.float }
    : { name, type: ATTRIBUTE.ints, ints: value };
}

function windowOf(strides: Pair, [y, x]: Pair): Attributes {
  return { strides, pads: [y, x, y, x] };
}

function poolOf({ kernel, stride, padding }: PoolNode): Attributes {
  return { kernel_shape: kernel, ...windowOf(stride, padding) };
}
