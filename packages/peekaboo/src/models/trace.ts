import {
  type CallWatch,
  handleOf,
  type nn,
  noGrad,
  scope,
  type Tensor,
  UserError,
  watchCalls,
  zeros,
} from "@peekaboo/torch";
import type { ImageShape } from "../data/batch.js";
import { isTold, messageOf } from "./users-code.js";

/** What a forward pass of one image tells of a module. */
export interface Traced {
  /** The logits of an image. */
  readonly classes: number;
  /** The state names of the weights that convolve or multiply something, and of those whose input may be negative. */
  readonly called: ReadonlySet<string>;
  readonly signed: ReadonlySet<string>;
}

/** What never gives a negative number. */
const NONNEGATIVE = new Set(["relu", "relu_", "sigmoid", "sigmoid_", "softmax", "abs", "square", "exp"]);
/** What gives none unless its first input has one, or one of all inputs. */
const OF_FIRST =
  /^(max_pool|avg_pool|adaptive_|dropout|flatten|view|reshape|detach|alias|contiguous|slice|select|constant_pad)/;
const OF_ALL = new Set(["add", "add_", "mul", "mul_", "cat", "stack", "maximum"]);

/**
 * Watches a module at one image of zeros, in evaluation mode.
 * @throws {UserError} when what comes out aren't logits [N, classes].
 */
export function traceOf(module: nn.Module, imageShape: ImageShape, operation: string): Traced {
  const wasTraining = module.training;
  const names = new Map<unknown, string>();
  for (const [name, tensor] of module.stateDict()) names.set(handleOf(tensor), name);
  const [called, signed, nonnegative] = [new Set<string>(), new Set<string>(), new Set<unknown>()];
  const hear = (operator: string, args: readonly unknown[], result: unknown) => {
    const name = operator.replace(/^\w+::/, "").replace(/\..*$/, "");
    const weight = names.get(args[1]);
    if (weight !== undefined && (name === "conv2d" || name === "linear")) {
      called.add(weight);
      if (!nonnegative.has(args[0])) signed.add(weight);
    }
    const tensors = args.flat().filter((arg) => typeof arg === "object" && arg !== null);
    const isNonnegative =
      NONNEGATIVE.has(name) ||
      (OF_FIRST.test(name) && nonnegative.has(args[0])) ||
      (OF_ALL.has(name) && tensors.every((arg) => nonnegative.has(arg)));
    for (const value of name.endsWith("_") ? [result, args[0]] : [result]) {
      if (isNonnegative) nonnegative.add(value);
      else nonnegative.delete(value);
    }
  };
  const [first] = module.stateDict().values();
  module.eval();
  try {
    const device = first?.device ?? "cpu";
    const shape = scope(() => {
      const image = zeros([1, ...imageShape], { dtype: "float32", device });
      return passOf(module, image, hear, operation);
    });
    const [, classes] = shape;
    if (shape.length === 2 && classes !== undefined) return { classes, called, signed };
    throw new UserError({
      operation,
      argument: "what the network makes of images",
      expected: "logits [N, classes]",
      received: `[${["N", ...shape.slice(1)].join(", ")}]`,
      remedy: "end it with Flatten and Linear, or give the images' own `imageShape`",
    });
  } finally {
    module.train(wasTraining);
  }
}

/** The shape of what a module makes of an image. @throws {UserError} with what keeps it from that. */
function passOf(module: nn.Module, image: Tensor, hear: CallWatch, operation: string): readonly number[] {
  try {
    return noGrad(() => watchCalls(hear, () => module.call(image))).shape;
  } catch (error) {
    if (isTold(error)) throw error;
    throw new UserError({
      operation,
      argument: "its forward pass",
      expected: `one that takes images [N, ${image.shape.slice(1).join(", ")}]`,
      received: messageOf(error),
      cause: error,
    });
  }
}
