import { describe, expect, it } from "vitest";
import { answersOf } from "../support/ranks.js";

const NETWORKS = `
  const networks = {
    mlp: () => new nn.Sequential(
      new nn.Linear(12, 32), new nn.ReLU(), new nn.Linear(32, 32), new nn.ReLU(), new nn.Linear(32, 5)),
    conv: () => new nn.Sequential(
      new nn.Conv2d({ inChannels: 3, outChannels: 8, kernelSize: 3, padding: 1 }), new nn.ReLU(),
      new nn.Conv2d({ inChannels: 8, outChannels: 8, kernelSize: 3, stride: 2 }), new nn.ReLU(),
      new nn.Flatten(), new nn.Linear(8 * 3 * 3, 5)),
  };
  const inputs = { mlp: [8, 12], conv: [8, 3, 8, 8] };
  const lossOf = (network, images, labels) => ops.crossEntropyLoss(network.call(images), labels);
  const gradients = (network) => [...network.namedParameters()].map(([, { grad }]) => [...grad.toFloat32Array()]);
  torch.manualSeed(7);`;

describe("gradients averaged over two processes", () => {
  it("are those of one process with the whole batch, whatever the buckets, and on their way during backward", async () => {
    const answers = await answersOf(
      2,
      `${NETWORKS}
      const group = await join();
      const results = {};
      for (const kind of ["mlp", "conv"]) {
        const network = networks[kind](), images = ops.randn(inputs[kind]), labels = ops.randint(0, 5, [8]);
        lossOf(network, images, labels).backward();
        const whole = gradients(network);
        for (const bucketBytes of [1, 3000, 2 ** 20]) {
          for (const [, parameter] of network.namedParameters()) parameter.grad = null;
          const reducer = new distributed.GradientReducer(group, network.namedParameters(), { bucketBytes });
          const half = (tensor) => tensor.narrow(0, 4 * rank, 4);
          for (let step = 0; step < 2; step++) {
            for (const [, parameter] of network.namedParameters()) parameter.grad = null;
            reducer.average(() => lossOf(network, half(images), half(labels)).backward());
          }
          const far = gradients(network).map((values, i) => Math.max(...values.map((v, j) => Math.abs(v - whole[i][j]))));
          results[kind + bucketBytes] = {
            far: Math.max(...far), largest: Math.max(...whole.flat().map(Math.abs)),
            buckets: reducer.buckets, sent: reducer.sentDuringBackward,
          };
          reducer.dispose();
        }
      }
      group.destroy();
      return results;`,
    );
    expect(answers[1]).toEqual(answers[0]);
    const results = answers[0] as Record<string, { far: number; largest: number; buckets: string[][]; sent: number }>;
    expect(Object.keys(results)).toHaveLength(6);
    for (const { far, largest, buckets, sent } of Object.values(results)) {
      expect(far / largest).toBeLessThan(1e-5);
      expect(sent).toBe(buckets.length);
    }
    const names = ["4.bias", "4.weight", "2.bias", "2.weight", "0.bias", "0.weight"];
    expect(results.mlp1?.buckets).toEqual(names.map((name) => [name]));
    // 20 + 640 + 128 bytes, then 4096 alone, then 128 + 1536.
    expect(results.mlp3000?.buckets).toEqual([names.slice(0, 3), ["2.weight"], names.slice(4)]);
    expect(results["mlp1048576" as string]?.buckets).toEqual([names]);
  });

  it("count a parameter that a rank did not use as zero, and leave one that nobody used without", async () => {
    const answers = await answersOf(
      2,
      `
      const group = await join();
      const make = (value) => Tensor.of([value]).requireGrad();
      const parameters = Object.entries({ both: make(1), one: make(2), none: make(3) });
      const [[, both], [, one], [, none]] = parameters;
      const reducer = new distributed.GradientReducer(group, parameters, { bucketBytes: 1 });
      const seen = [];
      const look = () => seen.push(parameters.map(([, { grad }]) => (grad === null ? null : grad.item())));
      reducer.average(() => (rank === 0 ? both.mul(both).add(one.mul(10)) : both.mul(6)).backward());
      look();
      // Accumulated over two backwards, of which only the sum is sent.
      for (const [, parameter] of parameters) parameter.grad = null;
      both.mul(1 + rank).backward();
      reducer.average(() => both.mul(10).backward());
      look();
      // None at all.
      for (const [, parameter] of parameters) parameter.grad = null;
      reducer.average(() => {});
      look();
      const before = liveTensorCount();
      for (let i = 0; i < 100; i++) scope(() => reducer.average(() => both.mul(one).backward()));
      const leaked = liveTensorCount() - before;
      const misused = [await caught(() => reducer.finish())];
      reducer.prepare();
      both.mul(one).mul(none).backward();
      both.mul(one).mul(none).backward();
      misused.push(await caught(() => reducer.finish()));
      reducer.dispose();
      both.mul(2).backward();
      group.destroy();
      return { seen, leaked, misused: misused.map(({ message }) => message) };`,
    );
    for (const answer of answers) {
      expect(answer).toEqual({
        // (2 + 6) / 2, (10 + 0) / 2; 10 + (1 + 2) / 2
        seen: [
          [4, 5, null],
          [11.5, null, null],
          [null, null, null],
        ],
        leaked: 0,
        misused: [
          expect.stringMatching("call prepare\\(\\) before backward, then finish\\(\\)"),
          expect.stringMatching("backward ran again after its buckets were sent"),
        ],
      });
    }
  });
});

describe("the state of two processes", () => {
  it("is broadcast whatever its dtypes, compared, and refused where the networks differ", async () => {
    const answers = await answersOf(
      2,
      `
      const group = await join();
      const make = (seed, extra = {}) => Object.entries({
        weight: Tensor.of([[seed, 2], [3, 4 + seed]]), step: Tensor.of([100 * seed], { dtype: "int64" }),
        mask: Tensor.of([seed % 2, 1], { dtype: "bool" }), permuted: Tensor.of([[seed, 1, 2], [3, 4, 5]]).t(), ...extra,
      });
      const state = make(rank + 3);
      const differ = await caught(() => distributed.assertSameState(group, state));
      await distributed.broadcastState(group, state, { root: 1, bucketBytes: 8 });
      await distributed.assertSameState(group, state);
      const hash = distributed.stateHash(state) === distributed.stateHash(make(4));
      const other = make(0, rank === 1 ? { extra: Tensor.of([1]) } : {});
      const layout = await caught(() => distributed.broadcastState(group, other));
      const reducer = await caught(
        () => new distributed.GradientReducer(group, [["w", Tensor.of([rank, 1].slice(rank)).requireGrad()]]));
      group.destroy();
      return { differ, hash, layout, reducer };`,
    );
    const refused = (message: string) => ({ name: "UserError", message });
    for (const answer of answers) {
      expect(answer).toEqual({
        hash: true,
        differ: refused(
          "assertSameState: expected rank 0's on every rank for the state, received another on rank 1; start them from the same state.",
        ),
        layout: refused(
          "broadcastState: expected rank 0's on every rank for names, dtypes and shapes, received another on rank 1; build the same network everywhere.",
        ),
        reducer: refused(
          "average gradients: expected rank 0's on every rank for names, dtypes and shapes, received another on rank 1; build the same network everywhere.",
        ),
      });
    }
  });
});

it("gives zeros where a denormal would be summed or averaged, on Gloo's threads and on JavaScript's", async () => {
  const answers = await answersOf(
    2,
    `const group = await join();
    const nonzeros = (tensor) => tensor.toFloat32Array().filter((value) => value !== 0).length;
    const sum = Tensor.from(new Float32Array(1000).fill(1e-39));
    await group.allReduce(sum);
    const average = full([1000], 1.2e-38);
    group.allReduce(average, { op: "avg" }).wait();
    const halved = full([1000], rank === 0 ? 1.2e-38 : 0);
    await group.allReduce(halved, { op: "avg" });
    const weight = full([1000], 1).requireGrad(), unused = full([1000], 1).requireGrad();
    unused.grad = Tensor.from(new Float32Array(1000).fill(1e-39));
    const reducer = new distributed.GradientReducer(group, [["weight", weight], ["unused", unused]]);
    reducer.average(() => ops.sum(weight.mul(1.3e-38)).backward());
    const result = [sum, average, halved, weight.grad, unused.grad].map(nonzeros);
    reducer.dispose();
    group.destroy();
    return result;`,
  );
  // 1.2e-38 and 1.3e-38 are normal, their halves are not.
  expect(answers).toEqual(Array(2).fill([0, 1000, 0, 0, 0]));
});
