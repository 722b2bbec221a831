import { nn, ops, type Tensor } from "@peekaboo/torch";
import { NormActSequential } from "../layers/norm-act.js";
import { type Architecture, type BuildContext, forCifar } from "./architecture.js";

/** Channels of each convolution, stage by stage; a 2×2 max pool closes a stage. */
type Stages = readonly (readonly number[])[];

/** A VGG with BatchNorm (Simonyan & Zisserman 2015) for small images: one masked Linear in place of its three. */
class Vgg extends nn.Module {
  readonly #features: nn.Module;
  readonly #classifier: nn.Module;

  constructor(stages: Stages, { layers, numClasses, channels, imageShape, variant }: BuildContext) {
    super();
    let [inChannels, height, width] = imageShape;
    const modules: nn.Module[] = [];
    for (const stage of stages) {
      for (const paper of stage) {
        const outChannels = channels(paper);
        const inputSigned = modules.length === 0;
        const common = { kernelSize: 3, padding: 1, bias: variant === "plain", inputSigned };
        modules.push(layers.conv2d({ inChannels, outChannels, ...common }), new nn.BatchNorm2d(outChannels));
        modules.push(new nn.ReLU({ inPlace: true }));
        inChannels = outChannels;
      }
      // Five poolings need 32 pixels: a smaller image is not halved below one.
      const halves = Math.min(height, width) > 1;
      modules.push(new nn.MaxPool2d(halves ? 2 : 1));
      if (halves) [height, width] = [Math.floor(height / 2), Math.floor(width / 2)];
    }
    this.#features = this.registerModule("features", new NormActSequential(...modules));
    this.#classifier = this.registerModule(
      "classifier",
      layers.linear({ inFeatures: inChannels, outFeatures: numClasses }),
    );
  }

  override forward(input: Tensor): Tensor {
    const features = this.#features.call(input);
    // The mean over what is left, which is one pixel of a 32×32 image.
    return this.#classifier.call(ops.avgPool2d(features, features.shape.slice(2)).flatten(1));
  }
}

function vgg(name: string, [a, b, c, d, e]: readonly [number, number, number, number, number]): Architecture {
  const repeat = (channels: number, times: number) => Array<number>(times).fill(channels);
  const stages = [repeat(64, a), repeat(128, b), repeat(256, c), repeat(512, d), repeat(512, e)];
  return { name, ...forCifar, build: (context) => new Vgg(stages, context) };
}

/** The VGGs, by the number of convolutions in each stage. */
export const vggs: readonly Architecture[] = [
  vgg("VGG11", [1, 1, 2, 2, 2]),
  vgg("VGG13", [2, 2, 2, 2, 2]),
  vgg("VGG16", [2, 2, 3, 3, 3]),
  vgg("VGG19", [2, 2, 4, 4, 4]),
];
