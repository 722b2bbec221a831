import { describe, expect, it } from "vitest";
import { answersOf } from "../support/ranks.js";

const DIST = new URL("../../packages/peekaboo/dist/", import.meta.url).href;

/** Trains a network for some steps on the share of each batch of 32 that falls to this rank. */
const TRAINING = (arch: string, mode: "train" | "eval") => `
  const from = (path) => import(${JSON.stringify(DIST)} + path);
  const { Network } = await from("models/network.js");
  const { Trainer } = await from("training/trainer.js");
  const { ranksOf } = await from("training/ranks.js");
  const { parseConfig } = await from("config/config.js");
  const { entryOf } = torch;
  const group = worldSize === 1 ? null : await join();
  const ranks = ranksOf(group);
  const config = parseConfig({ arch: ${JSON.stringify(arch)}, optimizer: "BOP", bop: { ar: 1e-2, tau: 1e-6 }, sgd: { lr: ${mode === "eval" ? 1e-4 : 0.05} }, psg: { takeSign: false } });
  const network = new Network({ arch: config.arch, numClasses: 10, width: 0.25, psg: config.psg });
  network.initialise("kaiming_normal", 3 + 5 * rank);
  await ranks.share(network.module.stateDict());
  network.module.train(${mode === "train"});
  const trainer = new Trainer(network, config, ranks);
  torch.manualSeed(11);
  const images = ops.randn([128, 3, 32, 32]), labels = ops.randint(0, 10, [128]);
  const order = ranks.trainingShare(Int32Array.from({ length: 128 }, (_, i) => (i * 37) % 128));
  const losses = [];
  let flips = 0;
  for (let step = 0; step < 4; step++) {
    const own = order.subarray((step * 32) / worldSize, ((step + 1) * 32) / worldSize);
    const index = Tensor.from(own);
    const batch = { input: images.indexSelect(0, index), target: labels.indexSelect(0, index) };
    const { loss, flips: flipped } = trainer.step(batch, { epoch: 0, step, totalSteps: 4 });
    flips += flipped;
    const [sum] = await ranks.sum([loss * own.length]);
    losses.push(sum / 32);
  }
  const learned = [...network.module.namedParameters()];
  await ranks.prove(learned);
  const signs = learned.filter(([, { shape }]) => shape.length === 4).flatMap(([, weight]) => [...weight.toFloat32Array()].map(Math.sign));
  const others = learned.filter(([, { shape }]) => shape.length !== 4).flatMap(([, tensor]) => [...tensor.toFloat32Array()]);
  const statistics = [...network.module.namedBuffers()].flatMap(([, tensor]) => [...tensor.toFloat32Array()]);
  trainer.dispose();
  group?.destroy();
  return { losses, flips, signs, others, statistics };`;

interface Answer {
  flips: number;
  losses: number[];
  signs: number[];
  others: number[];
  statistics: number[];
}

const differing = (a: readonly number[], b: readonly number[]) => a.filter((value, i) => value !== b[i]).length;

async function trained(worldSize: number, arch: string, mode: "train" | "eval"): Promise<Answer[]> {
  return (await answersOf(worldSize, TRAINING(arch, mode))) as Answer[];
}

describe("training by two processes, a batch of 16 each", () => {
  it("is, but for rounding, that of one with a batch of 32, with BatchNorm in evaluation mode and plain convolutions", async () => {
    const [one] = await trained(1, "ResNet20", "eval");
    const [first, second] = await trained(2, "ResNet20", "eval");
    if (one === undefined || first === undefined) throw new Error("no answer");
    expect(second?.signs).toEqual(first.signs);
    for (const [step, loss] of one.losses.entries()) expect(first.losses[step]).toBeCloseTo(loss, 4);
    expect(one.signs.length).toBe(16_972);
    expect(one.flips).toBeGreaterThan(1000);
    // Signs whose average gradient is all but zero may tip; all others are the same.
    expect(differing(first.signs, one.signs)).toBeLessThan(17);
    const far = Math.max(...one.others.map((value, i) => Math.abs(value - (first.others[i] ?? Number.NaN))));
    expect(far).toBeLessThan(1e-4);
  });

  it("keeps weights equal on both ranks, and each rank's own BatchNorm statistics and quantisation ranges", async () => {
    const [first, second] = await trained(2, "PsgResNet20", "train");
    expect(second?.signs).toEqual(first?.signs);
    expect(second?.others).toEqual(first?.others);
    expect(second?.losses).toEqual(first?.losses);
    expect(second?.statistics).not.toEqual(first?.statistics);
    const [one] = await trained(1, "PsgResNet20", "train");
    // Another normalisation and other ranges: near, and not the same.
    expect(first?.losses).not.toEqual(one?.losses);
    expect(first?.losses[0]).toBeCloseTo(one?.losses[0] ?? Number.NaN, 0);
  });
});

/** Three steps, in the second of which rank 1 has an image with NaN: where it was, and whether it left `kept` as it was. */
const BROKEN = (onNan: "skip-batch" | "stop", kept: "stateDict" | "namedParameters") => `
  const from = (path) => import(${JSON.stringify(DIST)} + path);
  const { Network } = await from("models/network.js");
  const { Trainer } = await from("training/trainer.js");
  const { ranksOf } = await from("training/ranks.js");
  const { parseConfig } = await from("config/config.js");
  const group = await join();
  const ranks = ranksOf(group);
  const config = parseConfig({ arch: "PsgResNet20", optimizer: "BOP", onNan: ${JSON.stringify(onNan)}, bop: { ar: 1e-2, tau: 1e-6 } });
  const network = new Network({ arch: config.arch, numClasses: 10, width: 0.25, psg: config.psg });
  network.initialise("kaiming_normal", 3);
  const trainer = new Trainer(network, config, ranks);
  torch.manualSeed(11 + rank);
  const state = () => distributed.stateHash(network.module.${kept}());
  const skips = [];
  for (let step = 0; step < 3; step++) {
    const batch = { input: ops.randn([8, 3, 16, 16]), target: ops.randint(0, 10, [8]) };
    if (step === 1 && rank === 1) ops.fill_(batch.input.narrow(0, 2, 1), NaN);
    const before = state();
    try {
      trainer.step(batch, { epoch: 0, step, totalSteps: 3 });
      skips.push(null);
    } catch (error) {
      skips.push([error.where, state() === before]);
    }
  }
  await ranks.prove(network.module.namedParameters());
  trainer.dispose();
  group.destroy();
  return skips;`;

const OUTCOME = [
  [null, ["another process", true], null],
  [null, ["the images", true], null],
];

it("a batch that is broken on one rank is skipped by all, which change nothing and go on together", async () => {
  expect(await answersOf(2, BROKEN("skip-batch", "stateDict"))).toEqual(OUTCOME);
});

it("a batch that is broken on one rank stops all of them, none of which waits for another, with the weights as they were", async () => {
  expect(await answersOf(2, BROKEN("stop", "namedParameters"))).toEqual(OUTCOME);
});
