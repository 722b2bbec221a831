// What a network's forward pass asks of libtorch and of our operators: each call with the shapes of its tensors, equal ones
// together, to be made again alone.
import {
  type Handle,
  handleOf,
  type nn,
  noGrad,
  Operator,
  ops,
  scope,
  shapeOfHandle,
  type Tensor,
  watchCalls,
} from "@peekaboo/torch";

/** Calls of one operator that are alike. */
export interface Call {
  /** As the dispatcher has it, e.g. "aten::batch_norm". */
  readonly name: string;
  /** Its arguments, a shape in a tensor's place. */
  readonly args: readonly unknown[];
  /** The result's shape. */
  readonly output: readonly number[];
  /** Whether it takes the images themselves. */
  readonly ofImages: boolean;
  count: number;
}

/** The place of a tensor among the arguments. */
export class Shape {
  constructor(readonly sizes: readonly number[]) {}
}

/** The calls of a forward pass that give one tensor, in the order in which each kind comes first. */
export function recordCalls(module: nn.Module, input: Tensor): Call[] {
  const calls = new Map<string, Call>();
  const hear = (name: string, args: readonly unknown[], result: unknown) => {
    if (!isHandle(result)) return;
    const ofImages = args[0] === handleOf(input);
    const shapes = args.map((arg) => (isHandle(arg) ? new Shape(shapeOfHandle(arg)) : arg));
    const key = JSON.stringify([name, shapes, ofImages]);
    const known = calls.get(key);
    if (known !== undefined) known.count++;
    else calls.set(key, { name, args: shapes, output: shapeOfHandle(result), ofImages, count: 1 });
  };
  noGrad(() => scope(() => void watchCalls(hear, () => module.call(input))));
  return [...calls.values()];
}

function isHandle(value: unknown): value is Handle {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A call's operator. */
export function operatorOf({ name }: Call): Operator {
  return new Operator(name);
}

/** Values as they are in a network, at random: without negative ones if they come after a ReLU. */
export function valuesOf({ sizes }: Shape, signed: boolean): Tensor {
  const values = signed ? ops.randn(sizes) : ops.rand(sizes);
  return sizes.length === 4 ? ops.contiguous(values, { memoryFormat: "channelsLast" }) : values;
}
