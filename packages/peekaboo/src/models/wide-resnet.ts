import { nn, ops, type Tensor } from "@peekaboo/torch";
import type { LayerFactory } from "../layers/factory.js";
import { normAct } from "../layers/norm-act.js";
import { type Architecture, type BuildContext, forCifar } from "./architecture.js";

interface WideBlockShape {
  inChannels: number;
  channels: number;
  stride: number;
  dropout: number;
}

/** Pre-activation: conv1(relu(bn1(x))), dropout, conv2(relu(bn2(·))), which strides; the shortcut takes x as it is. */
class WideBlock extends nn.Module {
  readonly #bn1: nn.BatchNorm2d;
  readonly #conv1: nn.Module;
  readonly #dropout: nn.Module;
  readonly #bn2: nn.BatchNorm2d;
  readonly #conv2: nn.Module;
  readonly #shortcut: nn.Module | null;

  constructor(layers: LayerFactory, { inChannels, channels, stride, dropout }: WideBlockShape) {
    super();
    const common = { outChannels: channels, kernelSize: 3, padding: 1 };
    this.#bn1 = this.registerModule("bn1", new nn.BatchNorm2d(inChannels));
    this.#conv1 = this.registerModule("conv1", layers.conv2d({ inChannels, ...common }));
    this.#dropout = this.registerModule("dropout", new nn.Dropout(dropout));
    this.#bn2 = this.registerModule("bn2", new nn.BatchNorm2d(channels));
    this.#conv2 = this.registerModule("conv2", layers.conv2d({ inChannels: channels, stride, ...common }));
    const projection = { inChannels, outChannels: channels, kernelSize: 1, stride, inputSigned: true };
    const reshapes = stride !== 1 || inChannels !== channels;
    this.#shortcut = reshapes ? this.registerModule("shortcut", new nn.Sequential(layers.conv2d(projection))) : null;
  }

  override forward(input: Tensor): Tensor {
    const hidden = this.#dropout.call(this.#conv1.call(normAct(this.#bn1, input)));
    const out = this.#conv2.call(normAct(this.#bn2, hidden));
    return out.add_(this.#shortcut === null ? input : this.#shortcut.call(input));
  }
}

interface WideResNetShape {
  depth: number;
  /** Factor on the 16, 32 and 64 channels of the stages. */
  widen: number;
}

/** Of the BatchNorm after the last stage, in the original. */
const LAST_MOMENTUM = 0.9;

/** A wide ResNet (Zagoruyko & Komodakis 2016): 3×3 stem, three stages, relu(bn1), the mean, one Linear. */
class WideResNet extends nn.Module {
  readonly #conv1: nn.Module;
  readonly #stages: nn.Module[];
  readonly #bn1: nn.BatchNorm2d;
  readonly #linear: nn.Module;

  constructor({ depth, widen }: WideResNetShape, context: BuildContext) {
    super();
    const { layers, numClasses, channels, imageShape, dropout } = context;
    let inChannels = channels(16);
    const stem = { inChannels: imageShape[0], outChannels: inChannels, kernelSize: 3, padding: 1, inputSigned: true };
    this.#conv1 = this.registerModule("conv1", layers.conv2d(stem));
    this.#stages = [16, 32, 64].map((base, stage) => {
      const width = channels(base * widen);
      const blocks = Array.from({ length: (depth - 4) / 6 }, (_, i) => {
        const stride = stage > 0 && i === 0 ? 2 : 1;
        const block = new WideBlock(layers, { inChannels, channels: width, stride, dropout });
        inChannels = width;
        return block;
      });
      return this.registerModule(`layer${stage + 1}`, new nn.Sequential(...blocks));
    });
    this.#bn1 = this.registerModule("bn1", new nn.BatchNorm2d(inChannels, { momentum: LAST_MOMENTUM }));
    this.#linear = this.registerModule("linear", new nn.Linear(inChannels, numClasses, { initialise: false }));
  }

  override forward(input: Tensor): Tensor {
    const features = nn.inTurn(
      () => this.#conv1.call(input),
      this.#stages.map((stage) => (value) => stage.call(value)),
    );
    const active = normAct(this.#bn1, features);
    return this.#linear.call(ops.avgPool2d(active, active.shape.slice(2)).flatten(1));
  }
}

/** The wide ResNets for 32×32 images. */
export const wideResNets: readonly Architecture[] = [
  {
    name: "WideResNet28_10",
    ...forCifar,
    drops: true,
    build: (context) => new WideResNet({ depth: 28, widen: 10 }, context),
  },
];
