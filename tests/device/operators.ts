import { grad, ops, scope, Tensor } from "@peekaboo/torch";
import { pabOps } from "#peekaboo/native/library";
import { difference, random, unequal } from "./compare.js";
import type { Report } from "./report.js";

/**
 * Sums in another order, and products with another, differ in the last of float32's 24 bits a few times over; a number that
 * was about to be rounded the other way then lands on the neighbouring level of a quantisation, or a sign on the other side of
 * a threshold, which a small share of the elements may.
 */
const SUMS = 1e-5;
const SHARE = 1e-3;

type Make = (tensor: Tensor) => Tensor;

/** Every operator of ours on the device: against its twin made of ATen's there, and against the kernel on the CPU. */
export function operators(report: Report): void {
  const { device } = report;
  const there: Make = (tensor) => tensor.to({ device });
  const here: Make = (tensor) => tensor.clone();
  const parts = [
    ...[quantised, convolutions, fastConvolution, float64Convolution, normalised],
    ...[signSteps, finiteness, augmented, selections, memory],
  ];
  for (const part of parts) scope(() => part(report, there, here));
}

/** Runs on the device and on the CPU, and tells how far the results are apart. */
function both(
  report: Report,
  what: string,
  run: (make: Make) => Tensor[],
  makes: readonly Make[],
  limit: number,
): void {
  const [there = [], here = []] = makes.map((make) => run(make));
  const apart = there.map((tensor, i) => difference(tensor, here[i] ?? tensor));
  report.atMost(what, Math.max(...apart, there.length === here.length ? 0 : Number.POSITIVE_INFINITY), limit);
}

function quantised(report: Report, there: Make, here: Make): void {
  const { quantize, quantizeReference } = pabOps();
  const input = random("quantize", [6, 5, 9, 7]);
  const layouts = { "row-major": input, "channels last": ops.contiguous(input, { memoryFormat: "channelsLast" }) };
  for (const [layout, values] of Object.entries(layouts)) {
    let [twin, cpu] = [0, 0];
    for (const role of ["activation", "weight", "gradient"]) {
      for (const bits of [1, 4, 8, 16, 32]) {
        const levels = { bits, signed: true };
        const own = quantize(there(values), role, levels);
        twin = Math.max(twin, unequal(own, quantizeReference(there(values), role, levels)));
        cpu = Math.max(cpu, unequal(own, quantize(here(values), role, levels)));
      }
    }
    report.atMost(`quantize, ${layout}, against its twin`, twin, 0, "share that differs");
    report.atMost(`quantize, ${layout}, against the CPU`, cpu, report.sameArithmetic ? 0 : SHARE, "share that differs");
  }
}

const PSG: readonly [string, { threshold: number; relative: boolean; sparsify: boolean; takeSign: boolean }][] = [
  ["sparsified", { threshold: 0.05, relative: true, sparsify: true, takeSign: false }],
  ["mixed with the full gradient", { threshold: 0.2, relative: true, sparsify: false, takeSign: false }],
  ["absolute threshold, sign", { threshold: 0.5, relative: false, sparsify: true, takeSign: true }],
];

function convolutions(report: Report, there: Make, here: Make): void {
  const { psgConv2d, psgConv2dReference } = pabOps();
  for (const [name, selection] of PSG) {
    const run = (call: typeof psgConv2d) => (make: Make) => {
      const input = make(random("psg input", [5, 4, 8, 8]).abs()).requireGrad();
      const weight = make(random("psg weight", [6, 4, 3, 3])).requireGrad();
      const bias = make(random("psg bias", [6])).requireGrad();
      const mask = make(random("psg mask", [6, 4, 3, 3]).gt(0).to({ dtype: "uint8" }));
      // Without rounding: a level that differs is quantize's to answer for.
      const rounding = { inputSigned: false, msbBits: 32, msbBitsGrad: 32 };
      const output = call(input, weight, mask, bias, { stride: 2, padding: 1, ...rounding, ...selection });
      const gradients = [make(random("psg gradient", output.shape))];
      return [output, ...grad([output], [input, weight, bias], { gradients })].map((tensor) => tensor.detach());
    };
    both(report, `psg_conv2d, ${name}, against the CPU`, run(psgConv2d), [there, here], SUMS);
    const [own, twin] = [run(psgConv2d)(there), run(psgConv2dReference)(there)];
    const apart = Math.max(...own.map((tensor, i) => difference(tensor, twin[i] ?? tensor)));
    report.atMost(`psg_conv2d, ${name}, against its twin`, apart, SUMS);
  }
}

/** Where the CPU computes by Winograd's algorithm, the device has its own convolution. */
function fastConvolution(report: Report, there: Make, here: Make): void {
  const run = (make: Make) => {
    const input = make(channelsLast(random("fast input", [4, 16, 16, 16]))).requireGrad();
    const weight = make(random("fast weight", [16, 16, 3, 3])).requireGrad();
    const output = pabOps().conv2d(input, weight, null, 1, 1, 1, 1, { fast: true });
    const gradients = [make(channelsLast(random("fast gradient", output.shape)))];
    return [output, ...grad([output], [input, weight], { gradients })].map((tensor) => tensor.detach());
  };
  both(report, "conv2d, fast, against the CPU", run, [there, here], SUMS);
}

/** BatchNorm in training, with a shortcut and without, and what it leaves in the running statistics. */
function normalised(report: Report, there: Make, here: Make): void {
  const { batchNormAct, batchNormActReference } = pabOps();
  for (const joins of [false, true]) {
    const run = (call: typeof batchNormAct) => (make: Make) => {
      const input = make(channelsLast(random("norm input", [6, 5, 7, 7]))).requireGrad();
      const residual = joins ? make(channelsLast(random("norm residual", [6, 5, 7, 7]))).requireGrad() : null;
      const [weight, bias] = ["weight", "bias"].map((name) => make(random(`norm ${name}`, [5])).requireGrad());
      const [mean, variance] = [make(ops.zeros([5])), make(ops.ones([5]))];
      if (weight === undefined || bias === undefined) return [];
      const how = { momentum: 0.1, eps: 1e-5, relu: true };
      const output = call(input, weight, bias, mean, variance, residual, how);
      const gradients = [make(channelsLast(random("norm gradient", output.shape)))];
      const inputs = [input, weight, bias, ...(residual === null ? [] : [residual])];
      return [output, mean, variance, ...grad([output], inputs, { gradients })].map((tensor) => tensor.detach());
    };
    const name = joins ? "batch_norm_act with a shortcut" : "batch_norm_act";
    both(report, `${name}, against the CPU`, run(batchNormAct), [there, here], SUMS);
    const [own, twin] = [run(batchNormAct)(there), run(batchNormActReference)(there)];
    const apart = Math.max(...own.map((tensor, i) => difference(tensor, twin[i] ?? tensor)));
    report.atMost(`${name}, against its twin`, apart, SUMS);
  }
}

function channelsLast(tensor: Tensor): Tensor {
  return ops.contiguous(tensor, { memoryFormat: "channelsLast" });
}

function float64Convolution(report: Report, there: Make, here: Make): void {
  const { conv2d } = pabOps();
  const run = (call: typeof conv2d) => (make: Make) => {
    const input = make(random("conv input", [3, 4, 9, 7], "float64")).requireGrad();
    const weight = make(random("conv weight", [5, 4, 3, 3], "float64")).requireGrad();
    const output = call(input, weight, null, [2, 1], 1);
    const [first = output] = grad([ops.square(output).sum()], [weight], { createGraph: true });
    return [output, first, ...grad([ops.square(first).sum()], [input, weight])].map((tensor) => tensor.detach());
  };
  both(report, "conv2d in float64, differentiated twice, against the CPU", run(conv2d), [there, here], 1e-12);
  const [own, twin] = [run(conv2d)(there), run(ops.conv2d)(there)];
  const apart = Math.max(...own.map((tensor, i) => difference(tensor, twin[i] ?? tensor)));
  report.atMost("conv2d in float64, differentiated twice, against ATen's", apart, 1e-12);
}

function signSteps(report: Report, there: Make, here: Make): void {
  const { bopStep_, bopStepReference_, bop2Step_, bop2StepReference_ } = pabOps();
  const shape = [16, 8, 3, 3];
  const state = (make: Make) => ({
    weight: make(random("sign weight", shape)),
    momentum: make(ops.zeros(shape)),
    variance: make(ops.zeros(shape)),
    correction: make(ops.zeros([2], { dtype: "float64" })),
    flips: make(ops.zeros(shape, { dtype: "int32" })),
  });
  const bop = (call: typeof bopStep_) => (make: Make) => {
    const { weight, momentum, flips } = state(make);
    const go = [1, 0, 1].map((value) => make(Tensor.of(value, { dtype: "bool" })));
    const counts = go.map((one, i) => {
      const settings = { ar: 0.1, tau: 0.05, first: i === 0, go: one };
      return call(weight, momentum, make(random(`bop ${i}`, shape)), flips, settings);
    });
    return [weight, momentum, flips, ...counts];
  };
  const bop2 = (call: typeof bop2Step_) => (make: Make) => {
    const { weight, momentum, variance, correction, flips } = state(make);
    const go = [1, 0, 1].map((value) => make(Tensor.of(value, { dtype: "bool" })));
    const counts = go.map((one, i) => {
      const gradient = make(random(`bop2 ${i}`, shape));
      const settings = { ar: 0.1, sigma: 0.03, tau: 0.4, eps: 1e-10, biasCorrection: true, go: one };
      return call(weight, momentum, variance, correction, gradient, flips, settings);
    });
    return [weight, momentum, variance, correction, flips, ...counts];
  };
  // Element by element, each operation rounded once: the same everywhere.
  both(report, "bop_step_, three steps, against the CPU", bop(bopStep_), [there, here], 0);
  both(report, "bop_step_'s twin, three steps, against the CPU's", bop(bopStepReference_), [there, here], 0);
  // A root and a quotient more, which a device may round in its own way.
  const limit = report.sameArithmetic ? 0 : SUMS;
  both(report, "bop2_step_, three steps, against the CPU", bop2(bop2Step_), [there, here], limit);
  both(report, "bop2_step_'s twin, three steps, against the CPU's", bop2(bop2StepReference_), [there, here], limit);
}

function finiteness(report: Report, there: Make, here: Make): void {
  const { allFinite, allFiniteReference } = pabOps();
  const broken = (value: number) =>
    Tensor.from(Float32Array.from({ length: 70_000 }, (_, i) => (i === 69_000 ? value : 1)));
  const run = (call: typeof allFinite) => (make: Make) => [
    call([random("finite", [300]), broken(Number.NaN), broken(Number.NEGATIVE_INFINITY), ops.zeros([0])].map(make)),
  ];
  both(report, "all_finite against the CPU", run(allFinite), [there, here], 0);
  both(report, "all_finite's twin against the CPU's", run(allFiniteReference), [there, here], 0);
}

function augmented(report: Report, there: Make, here: Make): void {
  const { augment, augmentReference } = pabOps();
  const images = Tensor.from(
    Uint8Array.from({ length: 7 * 9 * 8 * 3 }, (_, i) => (i * 37) % 251),
    { shape: [7, 9, 8, 3] },
  );
  const [index, dy, dx, flip] = [
    [6, 0, 3, 3],
    [0, 4, 8, 3],
    [8, 4, 0, 1],
    [1, 0, 1, 0],
  ].map((values) => Tensor.from(Int32Array.from(values)));
  const statistics = { mean: [0.49, 0.48, 0.45], std: [0.2, 0.21, 0.22] };
  if (index === undefined || dy === undefined || dx === undefined || flip === undefined) return;
  const run = (call: typeof augment, moved: boolean) => (make: Make) => {
    const place: Make = moved ? make : here;
    const moves = { dy: place(dy), dx: place(dx), flip: place(flip), padding: 4 };
    return [
      call(make(images), place(index), { ...moves, ...statistics, channelsLast: true }),
      call(make(images), place(index), statistics),
    ];
  };
  // A division and a subtraction, each rounded once.
  both(report, "augment, indices on the CPU, against the CPU", run(augment, false), [there, here], 0);
  both(report, "augment, indices on the device, against the CPU", run(augment, true), [there, here], 0);
  both(report, "augment's twin against the CPU's", run(augmentReference, false), [there, here], 0);
}

function selections(report: Report, there: Make, here: Make): void {
  const { kthSmallest, kthSaliency, keepAbove, scoreMagnitude_, zeroCut_, zeroBelow_ } = pabOps();
  const shapes = [[40, 30, 3, 3], [7], [64, 100]];
  const run = (make: Make) => {
    const one = shapes.map((shape, i) => make(random(`score ${i}`, shape, "float64")));
    const other = shapes.map((shape, i) => make(random(`weight ${i}`, shape, "float64")));
    const [first = make(Tensor.of(0)), factor = first] = [one[0], other[0]];
    const numbers = [1, 5000, 17_000].flatMap((k) => [kthSmallest(one, k), kthSaliency(one, other, k)]);
    const [mask, above, equal] = keepAbove(first, numbers[0] ?? 0);
    const [scores, cut, below] = [first.clone(), first.clone(), first.clone()];
    scoreMagnitude_(scores, factor);
    zeroCut_(cut, factor.gt(0).to({ dtype: "uint8" }));
    zeroBelow_(below, factor, 0.2);
    return [Tensor.from(Float64Array.from([...numbers, above, equal])), mask, scores, cut, below];
  };
  both(
    report,
    "kth_smallest, kth_saliency, keep_above and synaptic flow's three, against the CPU",
    run,
    [there, here],
    0,
  );
}

function memory(report: Report, there: Make, here: Make): void {
  const values = random("memory", [600, 600]);
  const tensor = there(values);
  pabOps().reuseMemory(true);
  const apart = difference(ops.add(tensor, tensor), ops.add(here(values), values));
  pabOps().reuseMemory(false);
  report.atMost("reuse_memory, which is the CPU's, leaves the device's tensors", apart + difference(tensor, values), 0);
}
