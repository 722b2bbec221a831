// Peek-a-Boo in one file (Peek-a-Boo, ICLR 2022): hide a network in random weights, then find it by signs alone.
//
//   1. A random convolutional network.
//   2. SynFlow (Tanaka et al. 2020): keep the 30 % of its weights through which most "flow" passes. No data is looked at.
//   3. Bop (Helwegen et al. 2019): learn the signs of those weights; their magnitudes stay as they were drawn.
//      The gradients that decide are predicted in low precision (PSG, Wang et al. 2019), which the PsgConv2d layer does.
//   4. SGD for the little rest: BatchNorm and the output layer.
//
// What comes out is a seed, a mask and one bit a weight. Run it: npm run examples
import { grad, nn, noGrad, ones, ops, optim, scope, Tensor } from "@peekaboo/torch";
import { type Batch, imagesOf, initialiseWeight, openDataset, PsgConv2d, thePapersPsg } from "peekaboo";

const SEED = 0;
const DENSITY = 0.3;
const EPOCHS = 3;

// ---- 1. The network: three convolutions, each halving the image, and a linear layer -----------------------------------

const conv = (inChannels: number, outChannels: number) =>
  new PsgConv2d(
    { inChannels, outChannels, kernelSize: 3, stride: 2, padding: 1, inputSigned: inChannels === 3 },
    thePapersPsg,
  );

class TinyNet extends nn.Module {
  readonly convolutions = [conv(3, 32), conv(32, 64), conv(64, 128)];
  readonly norms = this.convolutions.map(({ options }) => new nn.BatchNorm2d(options.outChannels));
  readonly output = new nn.Linear(128, 10);

  constructor() {
    super();
    this.convolutions.forEach((layer, i) => {
      this.registerModule(`conv${i}`, layer);
      this.registerModule(`norm${i}`, this.norms[i] as nn.Module);
      const { shape } = layer.weight;
      const random = Tensor.from(initialiseWeight("kaiming_normal", SEED, `conv${i}.weight`, shape), { shape });
      noGrad(() => ops.copy_(layer.weight, random));
    });
    this.registerModule("output", this.output);
  }

  /** Logits [N, 10] of images [N, 3, 32, 32]; `convolve` says how a layer's convolution is computed. */
  override forward(images: Tensor, convolve = (layer: PsgConv2d, input: Tensor) => layer.call(input)): Tensor {
    let x = images;
    this.convolutions.forEach((layer, i) => {
      x = ops.relu((this.norms[i] as nn.Module).call(convolve(layer, x)));
    });
    return this.output.call(x.mean([2, 3]));
  }
}

// ---- 2. SynFlow: a weight's score is |w · ∂R/∂w|, where R is what the network of absolute weights makes of an image of ones

function synFlow(network: TinyNet, density: number, rounds: number): void {
  const weights = network.convolutions.map(({ weight }) => weight);
  const signs = weights.map((weight) => weight.sign());
  const output = [...network.output.namedParameters()].map(([, parameter]) => parameter);
  const before = output.map((parameter) => parameter.detach().clone());
  noGrad(() => [...weights, ...output].map((tensor) => ops.abs_(tensor)));
  network.eval();
  for (let round = 1; round <= rounds; round++) {
    scope(() => {
      // Exactly, not as predicted: the masks should see every weight's gradient as it is.
      const exact = (layer: PsgConv2d, input: Tensor) => ops.conv2d(input, layer.effectiveWeight(), null, 2, 1);
      const flow = network.forward(ones([1, 3, 32, 32]), exact).sum();
      const scores = grad([flow], weights).map((gradient, i) => ops.abs(gradient.mul(weights[i] as Tensor)).detach());
      // The density falls exponentially, so that no layer is emptied at once.
      const all = ops.cat(scores.map((score) => score.flatten()));
      const kept = Math.round(all.numel * density ** (round / rounds));
      const threshold = ops.topk(all, kept)[0].min();
      network.convolutions.forEach((layer, i) => {
        layer.setMask((scores[i] as Tensor).ge(threshold).to({ dtype: "uint8" }));
      });
    });
  }
  noGrad(() => {
    weights.map((weight, i) => ops.mul_(weight, signs[i] as Tensor));
    output.map((parameter, i) => ops.copy_(parameter, before[i] as Tensor));
  });
}

// ---- 3. Bop: flip a weight's sign where the average of its gradients is large and says that the sign is wrong -----------

class Bop {
  readonly #averages: Tensor[];
  gamma = 0;

  constructor(
    readonly weights: readonly Tensor[],
    readonly tau: number,
  ) {
    this.#averages = weights.map((weight) => weight.mul(0).detach());
  }

  /** Returns how many weights flipped. */
  step(): number {
    return noGrad(() =>
      this.weights.reduce((flips, weight, i) => {
        const average = this.#averages[i] as Tensor;
        if (weight.grad === null) return flips;
        average.mul_(1 - this.gamma).add_(weight.grad, this.gamma);
        const flip = ops.logicalAnd(average.abs().ge(this.tau), average.mul(weight).gt(0));
        ops.mul_(weight, flip.to({ dtype: "float32" }).mul(-2).add(1)); // −1 where it flips, 1 elsewhere
        return flips + Number(flip.sum().item());
      }, 0),
    );
  }
}

// ---- 4. Training -------------------------------------------------------------------------------------------------------

function accuracy(network: TinyNet, { input, target }: Batch): number {
  return scope(() => Number(network.forward(input).argmax(1).eq(target).sum().item()));
}

const { train, test } = imagesOf(await openDataset("cifar10"), { trainLimit: 5000, testLimit: 1000 });
const network = new TinyNet();
scope(() => synFlow(network, DENSITY, 50));

const weights = network.convolutions.map(({ weight }) => weight);
const others = [...network.namedParameters()].filter(([, parameter]) => !weights.includes(parameter));
const bop = new Bop(weights, 1e-5);
const sgd = new optim.SGD(others, { lr: 0.1, momentum: 0.9, weightDecay: 5e-4 });
const order = Int32Array.from({ length: train.count }, (_, i) => i);

for (let epoch = 0; epoch < EPOCHS; epoch++) {
  let flips = 0;
  network.train();
  bop.gamma = 1e-2 * (1 - epoch / EPOCHS); // many flips at first, few at the end
  for await (const batch of train.training(order, 50, SEED, epoch)) {
    scope(() => {
      network.zeroGrad();
      ops.crossEntropyLoss(network.forward(batch.input), batch.target).backward();
      flips += bop.step();
      sgd.step();
    });
    batch.input.dispose();
    batch.target.dispose();
  }
  let correct = 0;
  network.eval();
  for await (const batch of test.plain(100)) {
    correct += noGrad(() => accuracy(network, batch));
    batch.input.dispose();
    batch.target.dispose();
  }
  console.log(`epoch ${epoch + 1}: ${((100 * correct) / test.count).toFixed(1)} % right, ${flips} signs flipped`);
}
