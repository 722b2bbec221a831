// Peek-a-Boo on a network of your own: describe it once, prune it, learn its signs, keep it in a file.
import { nn } from "@peekaboo/torch";
import { buildNetwork, defineArchitecture, imagesOf, openDataset, prune, pruners, saveNetwork, train } from "peekaboo";

const TinyNet = defineArchitecture({
  name: "TinyNet",
  imageShape: [3, 32, 32],
  build: ({ layers, channels, numClasses }) =>
    new nn.Sequential(
      layers.conv2d({
        inChannels: 3,
        outChannels: channels(32),
        kernelSize: 3,
        stride: 2,
        padding: 1,
        inputSigned: true,
      }),
      ...[new nn.BatchNorm2d(channels(32)), new nn.ReLU()],
      layers.conv2d({ inChannels: channels(32), outChannels: channels(64), kernelSize: 3, stride: 2, padding: 1 }),
      ...[new nn.BatchNorm2d(channels(64)), new nn.ReLU(), new nn.AdaptiveAvgPool2d(1), new nn.Flatten()],
      layers.linear({ inFeatures: channels(64), outFeatures: numClasses }),
    ),
});

const network = buildNetwork(TinyNet, { variant: "psg", seed: 0 });
const { kept, total } = await prune(network, { pruner: pruners.synFlow, density: 0.3 });
console.log(`${kept} of ${total} weights stay`);

const data = imagesOf(await openDataset("cifar10"), { trainLimit: 2000, testLimit: 500 });
for await (const epoch of train(network, { data, epochs: 2, batchSize: 50, bop: { ar: 1e-2, tau: 1e-5 } })) {
  const { loss, flips } = epoch.train;
  console.log(
    `epoch ${epoch.number}: loss ${loss.toFixed(3)}, ${flips.toFixed(0)} flips a step, ${epoch.test.accuracy} % right`,
  );
}

const [file] = process.argv.slice(2);
if (file !== undefined) saveNetwork(network, file);
