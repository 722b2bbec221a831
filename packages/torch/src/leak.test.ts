import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, it } from "vitest";
import * as ops from "./generated/ops.js";
import { native } from "./native.js";
import { BatchNorm2d, Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential } from "./nn/index.js";
import { SGD } from "./optim/index.js";
import { manualSeed } from "./runtime.js";
import { liveTensorCount, scope } from "./scope.js";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const MEGABYTE = 2 ** 20;

function makeNetwork(): Sequential {
  return new Sequential(
    new Conv2d({ inChannels: 3, outChannels: 16, kernelSize: 3, padding: 1, bias: false }),
    new BatchNorm2d(16),
    new ReLU(),
    new MaxPool2d(2),
    new Flatten(),
    new Linear(16 * 8 * 8, 10),
  );
}

// A step's activations and gradients are about 5 MB: leaked, 150 steps of them would be 750.
it("training 200 steps nets zero tensors and keeps the memory flat", () => {
  manualSeed(3);
  const before = liveTensorCount();
  const network = makeNetwork();
  const sgd = new SGD(network.namedParameters(), { lr: 0.05, momentum: 0.9, weightDecay: 1e-4, nesterov: true });
  const [images, labels] = [ops.randn([32, 3, 16, 16]), ops.randint(0, 10, [32])];

  const step = () =>
    scope(() => {
      sgd.zeroGrad();
      const loss = ops.crossEntropyLoss(network.call(images), labels);
      loss.backward();
      sgd.step();
      sgd.zeroGrad();
      return loss.item();
    });
  const measure = () => {
    collect();
    const { rss, heapUsed } = process.memoryUsage();
    return { tensors: liveTensorCount(), external: native().externalMemory(), heapUsed, rss };
  };

  const first = step();
  for (let i = 1; i < 50; i++) step();
  const early = measure();
  let last = first;
  for (let i = 50; i < 200; i++) last = step();
  const late = measure();

  expect(late.tensors).toBe(early.tensors);
  expect((late.external - early.external) / MEGABYTE).toBeLessThan(0.1);
  expect((late.heapUsed - early.heapUsed) / MEGABYTE).toBeLessThan(3);
  expect((late.rss - early.rss) / MEGABYTE).toBeLessThan(40);
  expect(last).toBeLessThan(first / 10);

  for (const own of [network, sgd, images, labels]) own.dispose();
  expect(liveTensorCount()).toBe(before);
});

// Node runs finalisers in turns of the event loop, which such a loop does not give it.
it("a long synchronous loop keeps nothing of the tensors that its scopes freed", () => {
  const one = ops.ones([1]);
  const run = (rounds: number) => {
    for (let i = 0; i < rounds; i++) {
      scope(() => {
        for (let j = 0; j < 100; j++) one.add(1);
      });
    }
    return process.memoryUsage.rss() / MEGABYTE;
  };
  const early = run(500);
  // 200 bytes of each would be 50 MB; V8's own spaces may grow by a third of that meanwhile.
  expect(run(2500) - early).toBeLessThan(30);
  one.dispose();
});
