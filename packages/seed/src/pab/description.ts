import { parseJson, printable, quoted } from "@peekaboo/files/errors";
import { numel } from "@peekaboo/files/safetensors";
import type { Graph, GraphNode, Pair, Shape } from "../graph/graph.js";
import { INIT_METHODS, type InitMethod } from "../init/weights.js";
import { damaged } from "./container.js";

/** How a tensor's values are stored: its signs alone, or whole numbers of two or four bytes for what its mask keeps. */
export type StoredAs = "signs" | "float16" | "float32";

/**
 * Where a tensor's mask comes from: everything is kept, the mask is stored by a model of the initial weights, or it follows from
 * the seed and the number of kept weights.
 */
export type MaskedBy = "all" | "model" | "shuffle" | "random";

/** One tensor of a network. */
export interface TensorDescription {
  readonly name: string;
  readonly shape: readonly number[];
  readonly stored: StoredAs;
  readonly mask: MaskedBy;
  /** What its initial weights are drawn from. */
  readonly init: InitMethod;
}

/** How a network did on images that it hadn't seen. */
export interface TestResult {
  /** Percent. */
  readonly accuracy: number;
  readonly images: number;
  /** Mean cross-entropy. */
  readonly loss?: number;
}

/** Plain data that tells where a network comes from; readers show it. */
export type Provenance = Readonly<Record<string, unknown>>;

/** All of a network but its weights. */
export interface Description {
  readonly network: string;
  /** What each channel's values from 0 to 1 are reduced by and divided by before the network sees them. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** The fraction of an image's shorter side that the square which the network sees takes up. */
  readonly crop: number;
  readonly classes: readonly string[];
  readonly seed: number;
  readonly init: InitMethod;
  readonly graph: Graph;
  readonly tensors: readonly TensorDescription[];
  readonly test: TestResult | null;
  readonly provenance: Provenance;
}

const MAX_CLASSES = 100_000;
const MAX_TENSORS = 100_000;
/** Values from 0 to 1 that vary less are all alike; and a division by it stays finite. */
const LEAST_DEVIATION = 1e-6;
const SQUARE = ["kernel", "stride", "padding", "dilation"];

/** The description as JSON; what is as usual isn't told. */
export function formatDescription(description: Description): string {
  const { network, mean, std, crop, classes, seed, init, graph, tensors, test, provenance } = description;
  return JSON.stringify({
    network,
    input: graph.input,
    mean,
    std,
    ...(crop === 1 ? {} : { crop }),
    classes,
    init,
    seed,
    tensors: tensors.map((tensor) => {
      const { name, shape, stored, mask } = tensor;
      const masked = mask !== (stored === "signs" ? "model" : "all");
      const row = [name, shape, stored, ...(masked || tensor.init !== init ? [mask] : [])];
      return tensor.init === init ? row : [...row, tensor.init];
    }),
    nodes: graph.nodes.map(formatNode),
    test,
    provenance,
  });
}

function formatNode({ op, inputs, ...settings }: GraphNode): unknown[] {
  const told = Object.entries(settings).flatMap(([name, value]) => {
    const square = SQUARE.includes(name) && Array.isArray(value) && value[0] === value[1] ? value[0] : value;
    return square === DEFAULTS[name] ? [] : [[name, square]];
  });
  const row = [op, inputs.length === 1 ? inputs[0] : inputs];
  return told.length === 0 ? row : [...row, Object.fromEntries(told)];
}

/** What a node's settings are unless they are told. */
const DEFAULTS: Readonly<Record<string, unknown>> = {
  stride: 1,
  padding: 0,
  dilation: 1,
  groups: 1,
  eps: 1e-5,
  approximate: "none",
  before: 0,
  after: 0,
};

/**
 * Reads a description.
 * @throws {UserError} for anything that none holds; the graph's own sense is `shapesOf`'s to check.
 */
export function parseDescription(text: string): Description {
  const json = new Fields(
    parseJson(text, (received) => damaged("the description", "JSON", received)),
    "the description",
  );
  const input = shapeOf(json.get("input"), "input");
  const [channels] = input;
  const init = oneOf(json.get("init"), INIT_METHODS, "init");
  const tensors = list(json.get("tensors"), "tensors", MAX_TENSORS).map((row) => tensorOf(row, init));
  if (new Set(tensors.map(({ name }) => name)).size !== tensors.length) throw wrong("tensors", "different names");
  return {
    network: label(json.get("network"), "network"),
    mean: numbers(json.get("mean"), "mean", channels),
    std: deviations(json.get("std"), channels),
    crop: cropOf(json.get("crop") ?? 1),
    classes: list(json.get("classes"), "classes", MAX_CLASSES).map((name) => label(name, "classes")),
    seed: whole(json.get("seed"), "seed", Number.MAX_SAFE_INTEGER),
    init,
    graph: { input, nodes: list(json.get("nodes"), "nodes", MAX_TENSORS).map(nodeOf) },
    tensors,
    test: testOf(json.get("test")),
    provenance: new Fields(json.get("provenance"), "provenance").values,
  };
}

function tensorOf(row: unknown, common: InitMethod): TensorDescription {
  const [name, shape, stored, mask, init = common] = list(row, "tensors", 5);
  const storedAs = oneOf(stored, ["signs", "float16", "float32"] as const, "a tensor's storage");
  const sizes = list(shape, "a tensor's shape", 4).map((size) => whole(size, "a tensor's shape", 2 ** 31));
  if (sizes.length === 0 || numel(sizes) === 0 || !Number.isSafeInteger(numel(sizes)))
    throw wrong("a tensor's shape", "one to four positive sizes");
  if (storedAs === "signs" && sizes.length < 2)
    throw wrong("a tensor's shape", "two sizes or more where it is stored by signs");
  return {
    name: label(name, "a tensor's name"),
    shape: sizes,
    stored: storedAs,
    mask: oneOf(
      mask ?? (storedAs === "signs" ? "model" : "all"),
      ["all", "model", "shuffle", "random"] as const,
      "a mask",
    ),
    init: oneOf(init, INIT_METHODS, "a tensor's init"),
  };
}

function nodeOf(row: unknown): GraphNode {
  const [op, from, settings = {}] = list(row, "nodes", 3);
  const own = new Fields(settings, "a node");
  const inputs = Array.isArray(from)
    ? from.map((value) => whole(value, "a node's inputs"))
    : [whole(from, "a node's inputs")];
  const [first = 0, second = 0, ...more] = inputs;
  if (op === "concat" ? inputs.length < 2 : inputs.length !== (op === "add" ? 2 : 1))
    throw wrong("a node's inputs", "two of an addition, two or more that are joined, else one");
  const pair = (name: string, otherwise?: number) => pairOf(own.get(name) ?? otherwise, name);
  const name = (key: string) => label(own.get(key), key);
  const named = (key: string) => (own.get(key) === undefined ? {} : { [key]: name(key) });
  const one = [first] as const;
  switch (op) {
    case "conv2d": {
      const window = { stride: pair("stride", 1), padding: pair("padding", 0), dilation: pair("dilation", 1) };
      const groups = whole(own.get("groups") ?? 1, "groups");
      return { op, inputs: one, weight: name("weight"), ...named("bias"), ...window, groups };
    }
    case "affine":
      return { op, inputs: one, scale: name("scale"), ...named("shift") };
    case "group_norm": {
      const [groups, eps] = [whole(own.get("groups") ?? 1, "groups"), finite(own.get("eps") ?? DEFAULTS.eps, "eps")];
      return { op, inputs: one, scale: name("scale"), ...named("shift"), groups, eps };
    }
    case "relu":
    case "sigmoid":
    case "silu":
      return { op, inputs: one };
    case "gelu": {
      const approximate = oneOf(own.get("approximate") ?? "none", ["none", "tanh"] as const, "approximate");
      return { op, inputs: one, approximate };
    }
    case "add":
      return { op, inputs: [first, second] };
    case "concat":
      return { op, inputs: [first, second, ...more] };
    case "max_pool2d":
    case "avg_pool2d": {
      const window = { kernel: pair("kernel"), stride: pair("stride", 1), padding: pair("padding", 0) };
      const dilated = op === "max_pool2d" && own.get("dilation") !== undefined;
      return { op, inputs: one, ...window, ...(dilated && { dilation: pair("dilation") }) };
    }
    case "subsample": {
      const [before, after] = [whole(own.get("before") ?? 0, "before"), whole(own.get("after") ?? 0, "after")];
      return { op, inputs: one, stride: pair("stride", 1), before, after };
    }
    case "reshape":
      return { op, inputs: one, shape: shapeOf(own.get("shape"), "a node's shape") };
    case "linear":
      return { op, inputs: one, weight: name("weight"), ...named("bias") };
    default:
      throw damaged("an operation", "one that this version knows", typeof op === "string" ? quoted(op) : "none");
  }
}

function deviations(value: unknown, count: number): number[] {
  const std = numbers(value, "std", count);
  if (std.every((deviation) => deviation >= LEAST_DEVIATION)) return std;
  throw wrong("std", `numbers from ${LEAST_DEVIATION} up`);
}

function cropOf(value: unknown): number {
  const crop = finite(value, "crop");
  if (crop > 0 && crop <= 1) return crop;
  throw wrong("crop", "a fraction of the shorter side");
}

function testOf(value: unknown): TestResult | null {
  if (value === null) return null;
  const test = new Fields(value, "test");
  const loss = test.get("loss");
  return {
    accuracy: finite(test.get("accuracy"), "accuracy"),
    images: whole(test.get("images"), "images"),
    ...(loss === undefined ? {} : { loss: finite(loss, "loss") }),
  };
}

/** An object's own fields. */
class Fields {
  readonly values: Readonly<Record<string, unknown>>;

  constructor(value: unknown, what: string) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong(what, "an object");
    this.values = value as Record<string, unknown>;
  }

  get(name: string): unknown {
    return Object.hasOwn(this.values, name) ? this.values[name] : undefined;
  }
}

function list(value: unknown, what: string, most: number): unknown[] {
  if (Array.isArray(value) && value.length <= most) return value;
  throw wrong(what, `a list of at most ${most}`);
}

function whole(value: unknown, what: string, most = 2 ** 31): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0 && value <= most) return value;
  throw wrong(what, `whole numbers from 0 to ${most}`);
}

function finite(value: unknown, what: string): number {
  if (typeof value === "number" && Number.isFinite(value)) return value;
  throw wrong(what, "a number");
}

function numbers(value: unknown, what: string, count: number): number[] {
  const values = list(value, what, count).map((number) => finite(number, what));
  if (values.length === count) return values;
  throw wrong(what, `${count} numbers`);
}

function label(value: unknown, what: string): string {
  if (typeof value === "string" && value.length <= 1000) return value;
  throw wrong(what, "a text of at most 1,000 characters");
}

function oneOf<T extends string>(value: unknown, allowed: readonly T[], what: string): T {
  const found = allowed.find((one) => one === value);
  if (found !== undefined) return found;
  throw damaged(what, `one of ${allowed.join(", ")}`, typeof value === "string" ? quoted(value) : "none");
}

function pairOf(value: unknown, what: string): Pair {
  const [first, second] = Array.isArray(value) && value.length === 2 ? value : [value, value];
  return [whole(first, what), whole(second, what)];
}

function shapeOf(value: unknown, what: string): Shape {
  const [channels, height, width, ...more] = list(value, what, 3).map((size) => whole(size, what));
  if (width === undefined || more.length > 0) throw wrong(what, "three sizes");
  return [channels ?? 0, height ?? 0, width];
}

function wrong(what: string, expected: string) {
  return damaged(printable(what), expected, "something else");
}
