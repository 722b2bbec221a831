import { nn, type Tensor, UserError } from "@peekaboo/torch";
import type { ImageShape } from "../data/batch.js";
import { NormActSequential } from "../layers/norm-act.js";
import { type Architecture, type BuildContext, forCifar } from "./architecture.js";

/** Channels of the hidden layers of the head. */
const HEAD = 256;

/** Pairs of 3×3 convolutions, each with a 2×2 max pool; then three 1×1 convolutions over one pixel (Frankle & Carbin 2019). */
class ConvN extends nn.Module {
  readonly #convs: nn.Module;
  readonly #linear: nn.Module;

  constructor(widths: readonly number[], { layers, numClasses, channels, imageShape }: BuildContext) {
    super();
    const layer = (inChannels: number, outChannels: number, kernelSize: number, inputSigned = false) => [
      layers.conv2d({ inChannels, outChannels, kernelSize, padding: (kernelSize - 1) / 2, inputSigned }),
      new nn.BatchNorm2d(outChannels),
      new nn.ReLU({ inPlace: true }),
    ];
    let [inChannels, height, width] = imageShape;
    const convs = widths.flatMap((paper, pair) => {
      const own = channels(paper);
      const modules = [...layer(inChannels, own, 3, pair === 0), ...layer(own, own, 3), new nn.MaxPool2d(2)];
      [inChannels, height, width] = [own, Math.floor(height / 2), Math.floor(width / 2)];
      return modules;
    });
    if (height * width === 0) throw tooSmall(imageShape, widths.length);
    this.#convs = this.registerModule("convs", new NormActSequential(...convs));
    const [flat, hidden] = [inChannels * height * width, channels(HEAD)];
    const head = layers.conv2d({ inChannels: hidden, outChannels: numClasses, kernelSize: 1 });
    this.#linear = this.registerModule(
      "linear",
      new NormActSequential(...layer(flat, hidden, 1), ...layer(hidden, hidden, 1), head),
    );
  }

  override forward(input: Tensor): Tensor {
    const features = this.#convs.call(input);
    const [images = 0] = features.shape;
    return this.#linear.call(features.reshape(images, -1, 1, 1)).flatten(1);
  }
}

/** Conv-4 and Conv-6. */
export const convNs: readonly Architecture[] = [
  { name: "Conv4", ...forCifar, build: (context) => new ConvN([64, 128], context) },
  { name: "Conv6", ...forCifar, build: (context) => new ConvN([64, 128, 256], context) },
];

function tooSmall([, height, width]: ImageShape, poolings: number): UserError {
  return new UserError({
    operation: `build Conv${2 * poolings}`,
    argument: "the images' size",
    expected: `at least ${2 ** poolings} pixels a side, for ${poolings} poolings`,
    received: `${height} × ${width}`,
    remedy: "choose a network with fewer poolings",
  });
}
