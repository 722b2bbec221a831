// A PSG step's parts, as a process of its own: parts-of.js WORKLOAD REPETITIONS RATES, the first and last in JSON, gives a table in
// JSON. Each operator alone, at the shapes of the network's layers, the sum over the layers; a step and all of its parts in turn.
import { grad, type Handle, noGrad, type Operator, ops, optim, scope, Tensor } from "@peekaboo/torch";
import type { Batch } from "peekaboo";
import { pabOps } from "#peekaboo/native/library";
import type { Trainer } from "#peekaboo/training/trainer";
import { alternating, median, seconds, spreadOf } from "../statistics.js";
import type { Row, Table } from "./bench.js";
import { type Call, operatorOf, recordCalls, Shape, valuesOf } from "./calls.js";
import { BOP_BYTES, convolutionFlops, floorSeconds, passBytes, product, type Rates, SGD_BYTES } from "./counts.js";
import { randomImages } from "./data.js";
import { batchesOf, psgTrainer } from "./trained.js";
import { title, type Workload } from "./workloads.js";

/** The parts in the order of their table. */
const PARTS = [
  "forward",
  "input gradient",
  "quantisation of inputs",
  "weight gradient, quantisation of gradients",
  "BatchNorm, ReLU, additions",
  "pooling, Linear",
  "check of the gradients",
  "Bop",
  "SGD",
  "data",
] as const;
type Part = (typeof PARTS)[number];

/** One computation of a step: how often it has it, and what it can't do without. */
interface Piece {
  part: Part;
  count: number;
  flops: number;
  bytes: number;
  run(): unknown;
}

/** A call's arguments with tensors, and what else is given. */
function argumentsOf({ args, name }: Call): unknown[] {
  const isConvolution = name === "peekaboo::psg_conv2d";
  return args.map((arg, i) => {
    if (!(arg instanceof Shape)) return arg;
    if (isConvolution && i === 2) return ops.onesLike(ops.empty(arg.sizes), { dtype: "uint8" });
    return valuesOf(arg, i > 0 || /batch_norm|relu/.test(name));
  });
}

const raw = (args: readonly unknown[]) => args.map((arg) => (arg instanceof Tensor ? arg.handle : arg));
/** Whether an operator writes its result over its first argument. */
const isInPlace = ({ name }: Operator) => /_(\.\w+)?$/.test(name);

/** An operator's result; over its first argument, that one. */
function called(operator: Operator, args: readonly unknown[]): Tensor {
  const result = operator.call(...raw(args)) as Handle;
  return isInPlace(operator) ? (args[0] as Tensor) : new Tensor(result);
}

/** A gradient alone: of `y`, which is computed once, by one of the arguments that it is computed from. */
function gradientOf(operator: Operator, args: readonly unknown[], by: readonly number[]): () => void {
  const own = [...args];
  const leaves = by.map((i) => {
    const leaf = (args[i] as Tensor).detach().requireGrad();
    // What an operator writes to can't be a leaf.
    own[i] = isInPlace(operator) && i === 0 ? leaf.clone() : leaf;
    return leaf;
  });
  const output = called(operator, own);
  const gradient = valuesOf(new Shape(output.shape), true);
  return () => scope(() => void grad([output], leaves, { gradients: [gradient], retainGraph: true }));
}

function piecesOfConvolution(call: Call): Piece[] {
  const operator = operatorOf(call);
  const args = argumentsOf(call);
  const [input, weight] = args as [Tensor, Tensor];
  const flops = convolutionFlops(weight.shape, call.output);
  const bytes = 4 * (input.numel + weight.numel + product(call.output));
  const { count } = call;
  const learning = args.map((arg, i) => (i === 1 ? weight.detach().requireGrad() : arg));
  const forward = () => noGrad(() => scope(() => void called(operator, args)));
  const learningForward = () => scope(() => void called(operator, learning));
  const quantised = "quantisation of inputs";
  const pieces: Piece[] = [
    { part: "forward", count, flops, bytes, run: forward },
    // What a forward pass takes longer that a gradient will be asked of. Read for the largest value, read again, a byte written.
    { part: quantised, count, flops: 0, bytes: 9 * input.numel, run: learningForward },
    { part: quantised, count: -count, flops: 0, bytes: 0, run: forward },
    { part: "weight gradient, quantisation of gradients", count, flops, bytes, run: gradientOf(operator, args, [1]) },
  ];
  if (!call.ofImages)
    pieces.push({ part: "input gradient", count, flops, bytes, run: gradientOf(operator, args, [0]) });
  return pieces;
}

function piecesOfCall(call: Call): Piece[] {
  const { name, count, output } = call;
  if (name === "peekaboo::psg_conv2d") return piecesOfConvolution(call);
  const isPointwise = /batch_norm|relu|add/.test(name);
  if (!isPointwise && !/pool|linear/.test(name)) return [];
  const part = isPointwise ? "BatchNorm, ReLU, additions" : "pooling, Linear";
  const operator = operatorOf(call);
  const args = argumentsOf(call);
  // Running statistics, the fourth and fifth, have no gradient.
  const by = args.flatMap((arg, i) => (arg instanceof Tensor && i < 3 ? [i] : []));
  const values = Math.max(product(output), args[0] instanceof Tensor ? args[0].numel : 0);
  const piece = (direction: "forward" | "backward", run: () => unknown): Piece => {
    return { part, count, flops: 0, bytes: passBytes(name, values, direction), run };
  };
  return [
    piece("forward", () => noGrad(() => scope(() => void called(operator, args)))),
    piece("backward", gradientOf(operator, args, by)),
  ];
}

/** What changes the weights, and the look at the gradients before it. */
function piecesOfUpdate({ network }: Trainer): Piece[] {
  const { allFinite, bopStep_ } = pabOps();
  const alike = (tensor: Tensor, scale = 1e-3) => ops.mulScalar(ops.randn(tensor.shape), scale);
  const signs = [...network.bopParameters().values()].map((tensor) => ({
    weight: tensor.detach().clone(),
    gradient: alike(tensor),
    momentum: alike(tensor),
    flips: ops.zerosLike(tensor.detach(), { dtype: "int32" }),
  }));
  const rest = [...network.otherParameters()].map(([name, tensor]) => {
    const own = tensor.detach().clone().requireGrad();
    own.grad = alike(tensor);
    return [name, own] as const;
  });
  const sgd = new optim.SGD(rest, { lr: 1e-6, momentum: 0.9, weightDecay: 5e-4 });
  const numel = (tensors: readonly Tensor[]) => tensors.reduce((sum, tensor) => sum + tensor.numel, 0);
  const [signed, others] = [numel(signs.map(({ weight }) => weight)), numel(rest.map(([, tensor]) => tensor))];
  const gradients = [...signs.map(({ gradient }) => gradient), ...rest.flatMap(([, { grad }]) => grad ?? [])];
  const bop = () => {
    for (const { weight, gradient, momentum, flips } of signs) {
      bopStep_(weight, momentum, gradient, flips, { ar: 1e-4, tau: 1e-6, first: false });
    }
  };
  const piece = (part: Part, bytes: number, run: () => unknown): Piece => ({
    part,
    count: 1,
    flops: 0,
    bytes,
    run: () => scope(() => void run()),
  });
  return [
    piece("check of the gradients", 4 * (signed + others), () => allFinite(gradients)),
    piece("Bop", BOP_BYTES * signed, bop),
    piece("SGD", SGD_BYTES * others, () => sgd.step()),
  ];
}

/** The making of a batch, where images are in memory; those of a folder are decoded by other threads. */
function piecesOfData({ batch, imageShape }: Workload): Piece[] {
  const [, height] = imageShape;
  if (height !== 32) return [];
  const images = randomImages(Math.max(512, batch));
  const order = Int32Array.from({ length: batch }, (_, i) => i);
  let epoch = 0;
  const run = async () => {
    for await (const { input, target } of images.training(order, batch, 0, epoch++)) {
      input.dispose();
      target.dispose();
    }
  };
  return [{ part: "data", count: 1, flops: 0, bytes: 5 * batch * product(imageShape), run }];
}

/** How long a measurement of a piece should be at least. */
const LONG_ENOUGH = 0.001;

/** Seconds of a piece, of several in a row where one is too short. */
async function timePiece({ run }: Piece): Promise<number> {
  const begun = performance.now();
  let times = 0;
  let taken = 0;
  do {
    await run();
    times++;
    taken = (performance.now() - begun) / 1000;
  } while (taken < LONG_ENOUGH);
  return taken / times;
}

interface Measured {
  step: number[];
  parts: Map<Part, { seconds: number[]; flops: number; bytes: number; floor: number }>;
}

async function measure(workload: Workload, repetitions: number, rates: Rates): Promise<Measured> {
  pabOps().reuseMemory(true);
  const trainer = psgTrainer(workload);
  const batches = batchesOf(workload);
  const [batch] = batches;
  if (batch === undefined) throw new Error("no batches");
  const calls = recordCalls(trainer.network.module, batch.input);
  const pieces = [...calls.flatMap(piecesOfCall), ...piecesOfUpdate(trainer), ...piecesOfData(workload)];
  let taken = 0;
  const step = () => stepSeconds(trainer, batches[taken++ % batches.length] ?? batch);
  const all = async () => {
    const times: number[] = [];
    for (const piece of pieces) times.push(await timePiece(piece));
    return times;
  };
  const ways = new Map<string, () => number[] | Promise<number[]>>([
    ["step", () => [step()]],
    ["pieces", all],
  ]);
  const times = await alternating(ways, repetitions);
  const rounds = times.get("pieces") ?? [];
  const parts: Measured["parts"] = new Map();
  for (const part of PARTS) {
    const own = pieces.map((piece, i) => ({ piece, i })).filter(({ piece }) => piece.part === part);
    if (own.length === 0) continue;
    const sum = (of: (piece: Piece, i: number) => number) =>
      own.reduce((total, { piece, i }) => total + piece.count * of(piece, i), 0);
    parts.set(part, {
      seconds: rounds.map((round) => sum((_, i) => round[i] ?? Number.NaN)),
      flops: sum(({ flops }) => flops),
      bytes: sum(({ bytes }) => bytes),
      floor: sum((piece) => floorSeconds(piece, rates)),
    });
  }
  return { step: (times.get("step") ?? []).flat(), parts };
}

function stepSeconds(trainer: Trainer, batch: Batch): number {
  return seconds(() => trainer.step(batch, { epoch: 0, step: 0, totalSteps: 1 }));
}

function tableOf(workload: Workload, { step, parts }: Measured, rates: Rates): Table {
  const whole = median(step);
  const milliseconds = (values: readonly number[]) => spreadOf(values.map((value) => 1000 * value));
  const rows = [...parts].map(([part, { seconds, flops, bytes, floor }]): Row => {
    const own = median(seconds);
    const rate =
      flops > 0
        ? { "G/s": (1e-9 * flops) / own, of: "FLOP", "% of the peak": (100 * flops) / own / rates.flops }
        : { "G/s": (1e-9 * bytes) / own, of: "bytes", "% of the peak": (100 * bytes) / own / rates.bytes };
    const share = part === "data" ? null : (100 * own) / whole;
    return {
      part,
      ms: milliseconds(seconds),
      "% of the step": share,
      ...rate,
      "floor, ms": 1000 * floor,
      "times the floor": own / floor,
    };
  });
  const inStep = [...parts].filter(([part]) => part !== "data");
  const sum = inStep.reduce((total, [, { seconds }]) => total + median(seconds), 0);
  const floor = inStep.reduce((total, [, part]) => total + part.floor, 0);
  rows.push({ part: "other", ms: 1000 * (whole - sum), "% of the step": (100 * (whole - sum)) / whole });
  rows.push({
    part: "the step",
    ms: milliseconds(step),
    "% of the step": 100,
    "floor, ms": 1000 * floor,
    "times the floor": whole / floor,
  });
  return { title: `Parts of a step: ${title(workload)}`, rows };
}

const [, , workload = "", repetitions = "", rates = ""] = process.argv;
const parsed = { workload: JSON.parse(workload) as Workload, rates: JSON.parse(rates) as Rates };
const measured = await measure(parsed.workload, Number(repetitions), parsed.rates);
process.stdout.write(JSON.stringify(tableOf(parsed.workload, measured, parsed.rates)));
