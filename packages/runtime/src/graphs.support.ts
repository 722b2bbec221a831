// Random graphs with their tensors, by seed.
import {
  type Graph,
  type GraphNode,
  type GraphTensor,
  openUniform01,
  type Pair,
  RandomStream,
  type Shape,
  shapesOf,
} from "@peekaboo/seed";

/** Draws in an order that follows from a seed. */
export class Dice {
  readonly #stream: RandomStream;
  #next = 0;

  constructor(seed: number, name = "graphs") {
    this.#stream = new RandomStream(seed, name);
  }

  uniform(): number {
    this.#next += 2;
    return openUniform01(this.#stream.uint32(this.#next - 2), this.#stream.uint32(this.#next - 1));
  }

  integer(least: number, most: number): number {
    return least + Math.floor(this.uniform() * (most - least + 1));
  }

  pick<T>(values: readonly T[]): T {
    const value = values[this.integer(0, values.length - 1)];
    if (value === undefined) throw new Error("nothing to pick from");
    return value;
  }

  pair(least: number, most: number): Pair {
    return [this.integer(least, most), this.integer(least, most)];
  }

  /** Numbers from -1 to 1, a share of which is kept. */
  floats(length: number, density = 1): Float32Array {
    return Float32Array.from({ length }, () => (this.uniform() < density ? 2 * this.uniform() - 1 : 0));
  }
}

/** A graph that is being put together. */
export class Sketch {
  readonly nodes: GraphNode[] = [];
  readonly tensors = new Map<string, GraphTensor>();

  constructor(
    readonly input: Shape,
    readonly dice: Dice,
  ) {}

  get graph(): Graph {
    return { input: this.input, nodes: this.nodes };
  }

  get shapes(): Shape[] {
    return shapesOf(this.graph, this.tensors);
  }

  shape(value: number): Shape {
    const shape = this.shapes[value];
    if (shape === undefined) throw new Error(`no value ${value}`);
    return shape;
  }

  tensor(shape: readonly number[], density = 1): string {
    const name = `t${this.tensors.size}`;
    const length = shape.reduce((product, side) => product * side, 1);
    this.tensors.set(name, { shape, data: this.dice.floats(length, density) });
    return name;
  }

  /** The number of the value that the node makes. */
  add(node: GraphNode): number {
    return this.nodes.push(node);
  }

  conv(
    input: number,
    out: number,
    kernel: Pair,
    options: Partial<Omit<GraphNode & { op: "conv2d" }, "op">> & { density?: number } = {},
  ): number {
    const { groups = 1, bias } = options;
    const [channels] = this.shape(input);
    return this.add({
      op: "conv2d",
      inputs: [input],
      weight: this.tensor([out, channels / groups, ...kernel], options.density ?? this.dice.pick([0.05, 0.3, 1])),
      ...(bias === undefined ? {} : { bias: this.tensor([out]) }),
      stride: options.stride ?? [1, 1],
      padding: options.padding ?? [kernel[0] >> 1, kernel[1] >> 1],
      dilation: options.dilation ?? [1, 1],
      groups,
    });
  }

  affine(input: number): number {
    const [channels] = this.shape(input);
    const scale = this.tensor([channels]);
    return this.add({
      op: "affine",
      inputs: [input],
      scale,
      ...(this.dice.uniform() < 0.8 && { shift: this.tensor([channels]) }),
    });
  }

  norm(input: number, groups: number): number {
    const [channels] = this.shape(input);
    const scale = this.tensor([channels]);
    const shift = this.dice.uniform() < 0.8 ? { shift: this.tensor([channels]) } : {};
    return this.add({ op: "group_norm", inputs: [input], scale, ...shift, groups, eps: this.dice.pick([1e-5, 0.1]) });
  }

  relu(input: number): number {
    return this.add({ op: "relu", inputs: [input] });
  }

  sum(a: number, b: number): number {
    return this.add({ op: "add", inputs: [a, b] });
  }

  linear(input: number, out: number): number {
    const length = this.shape(input).reduce((product, side) => product * side, 1);
    const weight = this.tensor([out, length], this.dice.pick([0.3, 1]));
    return this.add({
      op: "linear",
      inputs: [input],
      weight,
      ...(this.dice.uniform() < 0.5 && { bias: this.tensor([out]) }),
    });
  }
}

/** A graph of up to a dozen nodes of every kind; each reads any value before it, some of them twice. */
export function randomSketch(seed: number): Sketch {
  const dice = new Dice(seed);
  const sketch = new Sketch([dice.integer(1, 6), dice.integer(1, 21), dice.integer(1, 21)], dice);
  const length = dice.integer(1, 12);
  while (sketch.nodes.length < length) {
    const recent = dice.uniform() < 0.7 ? sketch.nodes.length : dice.integer(0, sketch.nodes.length);
    dice.pick(GROWTHS)(sketch, recent);
  }
  return sketch;
}

type Growth = (sketch: Sketch, input: number) => void;

const GROWTHS: readonly Growth[] = [
  convolution,
  convolution,
  convolution,
  (sketch, input) => sketch.affine(input),
  (sketch, input) => sketch.relu(input),
  (sketch, input) => sketch.relu(sketch.affine(input)),
  (sketch, input) => sketch.add({ op: sketch.dice.pick(["sigmoid", "silu"]), inputs: [input] }),
  (sketch, input) => sketch.add({ op: "gelu", inputs: [input], approximate: sketch.dice.pick(["none", "tanh"]) }),
  norm,
  join,
  add,
  add,
  pool,
  (sketch, input) => {
    const [before, after] = sketch.dice.pair(0, 3);
    sketch.add({ op: "subsample", inputs: [input], stride: sketch.dice.pair(1, 3), before, after });
  },
  reshape,
  (sketch, input) => {
    if (sketch.dice.uniform() < 0.4) sketch.linear(input, sketch.dice.integer(1, 12));
  },
];

function convolution(sketch: Sketch, input: number): void {
  const { dice } = sketch;
  const [channels, height, width] = sketch.shape(input);
  const groups = dice.pick([1, 1, 2, channels].filter((count) => channels % count === 0));
  const [padding, dilation, stride] = [
    dice.pair(0, 3),
    dice.pair(1, dice.pick([1, 3])),
    dice.pair(1, dice.pick([1, 2, 4])),
  ];
  const kernel = dice.pick([[1, 1], [3, 3], dice.pair(1, 5)] as const);
  const fits = [height, width].every((size, axis) => {
    const reach = (dilation[axis] ?? 1) * ((kernel[axis] ?? 1) - 1);
    return size + 2 * (padding[axis] ?? 0) > reach;
  });
  if (!fits) return;
  const value = sketch.conv(input, groups * dice.integer(1, 6), kernel, {
    ...{ groups, stride, padding, dilation },
    ...(dice.uniform() < 0.3 && { bias: "given" }),
  });
  if (dice.uniform() < 0.5) sketch.affine(value);
}

/** Adds another value of the same shape, if only the value itself. */
function add(sketch: Sketch, input: number): void {
  const shapes = sketch.shapes.map(String);
  const alike = [...shapes.keys()].filter((value) => shapes[value] === shapes[input]);
  const sum = sketch.sum(
    ...((sketch.dice.uniform() < 0.5 ? [input, sketch.dice.pick(alike)] : [sketch.dice.pick(alike), input]) as Pair),
  );
  if (sketch.dice.uniform() < 0.5) sketch.relu(sum);
}

function norm(sketch: Sketch, input: number): void {
  const { dice } = sketch;
  const [channels] = sketch.shape(input);
  const value = sketch.norm(input, dice.pick([1, 2, 3, channels].filter((groups) => channels % groups === 0)));
  if (dice.uniform() < 0.5) sketch.relu(value);
}

/** Joins up to four values of the same height and width, if only the value itself. */
function join(sketch: Sketch, input: number): void {
  const { dice } = sketch;
  const sizes = sketch.shapes.map(([, ...size]) => String(size));
  const alike = [...sizes.keys()].filter((value) => sizes[value] === sizes[input]);
  const others = Array.from({ length: dice.integer(0, 2) }, () => dice.pick(alike));
  sketch.add({ op: "concat", inputs: [dice.pick(alike), input, ...others] });
}

function pool(sketch: Sketch, input: number): void {
  const { dice } = sketch;
  const [, height, width] = sketch.shape(input);
  const kernel = dice.pair(1, 4);
  const padding: Pair = [dice.integer(0, kernel[0] >> 1), dice.integer(0, kernel[1] >> 1)];
  if (height + 2 * padding[0] < kernel[0] || width + 2 * padding[1] < kernel[1]) return;
  const op = dice.pick(["max_pool2d", "avg_pool2d"] as const);
  const dilation = dice.pair(1, 3);
  const sides = [height, width] as const;
  const dilated = sides.every((side, axis) => {
    const [step = 1, size = 1, around = 0] = [dilation[axis], kernel[axis], padding[axis]];
    return step <= side && step * (size - 1) < side + 2 * around;
  });
  sketch.add({
    ...{ op, inputs: [input], kernel, stride: dice.pair(1, 4), padding },
    ...(op === "max_pool2d" && dilated && { dilation }),
  });
}

function reshape(sketch: Sketch, input: number): void {
  const [channels, height, width] = sketch.shape(input);
  const shape = sketch.dice.pick([
    [channels * height * width, 1, 1],
    [height, width, channels],
    [1, channels, height * width],
  ] as const);
  sketch.add({ op: "reshape", inputs: [input], shape });
}
