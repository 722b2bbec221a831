// Compiled and run far from this repository, on the packages as npm installs them (../outside.test.ts): a pruner and an
// architecture of one's own, and a training that is followed epoch by epoch and by a reporter.
import { readSafetensors } from "@peekaboo/files";
import { liveTensorCount, nn, scope, Tensor } from "@peekaboo/torch";
import {
  type BatchSource,
  buildNetwork,
  defineArchitecture,
  type Pruner,
  prune,
  type Reporter,
  saveNetwork,
  type TrainedEpoch,
  train,
} from "peekaboo";

const CLASSES = 3;

const Small = defineArchitecture({
  name: "Small",
  imageShape: [3, 4, 4],
  numClasses: CLASSES,
  build: ({ layers, channels, numClasses }) =>
    new nn.Sequential(
      layers.conv2d({ inChannels: 3, outChannels: channels(8), kernelSize: 3, padding: 1, inputSigned: true }),
      ...[new nn.BatchNorm2d(channels(8)), new nn.ReLU(), new nn.AdaptiveAvgPool2d(1), new nn.Flatten()],
      layers.linear({ inFeatures: channels(8), outFeatures: numClasses }),
    ),
});

const square: Pruner = {
  name: "Square",
  needsData: false,
  score: ({ network }) =>
    new Map([...network.prunable()].map(([name, layer]) => [name, layer.effectiveWeight().detach().square()])),
};

/** Images of one colour a class. */
function images(count: number): BatchSource {
  async function* batches(order: Int32Array, size: number) {
    for (let start = 0; start < order.length; start += size) {
      const own = Array.from(order.subarray(start, start + size), (i) => i % CLASSES);
      yield scope(() => ({
        input: Tensor.of(own.flatMap((label) => Array.from({ length: 48 }, (_, i) => +(i % 3 === label))))
          .view(own.length, 4, 4, 3)
          .permute(0, 3, 1, 2),
        target: Tensor.of(own).to({ dtype: "int64" }),
      }));
    }
  }
  return {
    count,
    imageShape: [3, 4, 4],
    training: batches,
    plain: (size, order = Int32Array.from({ length: count }, (_, i) => i)) => batches(order, size),
    dispose: () => {},
  };
}

const network = buildNetwork(Small, { variant: "psg", seed: 0 });
const { kept, total } = await prune(network, { pruner: square, density: 0.5 });
const epochs: TrainedEpoch[] = [];
const data = { train: images(48), test: images(9) };
const heard: string[] = [];
const reporter: Reporter = {
  begin: ({ kind, total: units }) => void heard.push(`${kind} ${units}`),
  epoch: ({ epoch, result }) => void heard.push(`epoch ${epoch}: ${result.images} images`),
};
for await (const epoch of train(network, { data, epochs: 3, batchSize: 8, bop: { ar: 1e-2, tau: 1e-6 }, reporter })) {
  epochs.push(epoch);
}
const [file = "small.safetensors"] = process.argv.slice(2);
saveNetwork(network, file);
network.dispose();
console.log(
  JSON.stringify({
    kept,
    total,
    epochs: epochs.map(({ number }) => number),
    accuracy: epochs.at(-1)?.test.accuracy,
    saved: [...readSafetensors(file).tensors.keys()],
    live: liveTensorCount(),
    heard: heard.slice(0, 3),
  }),
);
