import { nn, ops, type Tensor } from "@peekaboo/torch";
import type { LayerFactory } from "../layers/factory.js";
import type { Architecture, BuildContext } from "./architecture.js";

interface BlockShape {
  inChannels: number;
  /** Channels of the 3×3 convolutions; a bottleneck puts out four times as many. */
  channels: number;
  stride: number;
}

/** Adds `shortcut` to `out` and rectifies, both in place: no backward pass needs the summands. */
function join(out: Tensor, shortcut: Tensor): Tensor {
  return ops.relu_(out.add_(shortcut));
}

abstract class ResidualBlock extends nn.Module {
  #shortcut: nn.Sequential | null = null;

  /** Registers the projection that a change of shape needs; call it last, for the order of the state. */
  protected addShortcut(layers: LayerFactory, { inChannels, stride }: BlockShape, outChannels: number): void {
    if (stride === 1 && inChannels === outChannels) return;
    const projection = layers.conv2d({ inChannels, outChannels, kernelSize: 1, stride, bias: false });
    this.#shortcut = this.registerModule("shortcut", new nn.Sequential(projection, new nn.BatchNorm2d(outChannels)));
  }

  protected shortcut(input: Tensor): Tensor {
    return this.#shortcut === null ? input : this.#shortcut.call(input);
  }
}

/** Two 3×3 convolutions and a shortcut (He et al. 2016, fig. 5 left). */
class BasicBlock extends ResidualBlock {
  static readonly expansion = 1;
  readonly #conv1: nn.Module;
  readonly #bn1: nn.Module;
  readonly #conv2: nn.Module;
  readonly #bn2: nn.Module;

  constructor(layers: LayerFactory, shape: BlockShape) {
    super();
    const { inChannels, channels, stride } = shape;
    const common = { outChannels: channels, kernelSize: 3, padding: 1, bias: false };
    this.#conv1 = this.registerModule("conv1", layers.conv2d({ inChannels, stride, ...common }));
    this.#bn1 = this.registerModule("bn1", new nn.BatchNorm2d(channels));
    this.#conv2 = this.registerModule("conv2", layers.conv2d({ inChannels: channels, ...common }));
    this.#bn2 = this.registerModule("bn2", new nn.BatchNorm2d(channels));
    this.addShortcut(layers, shape, channels);
  }

  override forward(input: Tensor): Tensor {
    const hidden = ops.relu_(this.#bn1.call(this.#conv1.call(input)));
    return join(this.#bn2.call(this.#conv2.call(hidden)), this.shortcut(input));
  }
}

/** 1×1, 3×3 and 1×1 convolutions and a shortcut (He et al. 2016, fig. 5 right); the 3×3 strides. */
class Bottleneck extends ResidualBlock {
  static readonly expansion = 4;
  readonly #conv1: nn.Module;
  readonly #bn1: nn.Module;
  readonly #conv2: nn.Module;
  readonly #bn2: nn.Module;
  readonly #conv3: nn.Module;
  readonly #bn3: nn.Module;

  constructor(layers: LayerFactory, shape: BlockShape) {
    super();
    const { inChannels, channels, stride } = shape;
    const outChannels = channels * Bottleneck.expansion;
    const pointwise = { kernelSize: 1, bias: false };
    const spatial = { inChannels: channels, outChannels: channels, kernelSize: 3, padding: 1, stride, bias: false };
    this.#conv1 = this.registerModule("conv1", layers.conv2d({ inChannels, outChannels: channels, ...pointwise }));
    this.#bn1 = this.registerModule("bn1", new nn.BatchNorm2d(channels));
    this.#conv2 = this.registerModule("conv2", layers.conv2d(spatial));
    this.#bn2 = this.registerModule("bn2", new nn.BatchNorm2d(channels));
    this.#conv3 = this.registerModule("conv3", layers.conv2d({ inChannels: channels, outChannels, ...pointwise }));
    this.#bn3 = this.registerModule("bn3", new nn.BatchNorm2d(outChannels));
    this.addShortcut(layers, shape, outChannels);
  }

  override forward(input: Tensor): Tensor {
    const first = ops.relu_(this.#bn1.call(this.#conv1.call(input)));
    const second = ops.relu_(this.#bn2.call(this.#conv2.call(first)));
    return join(this.#bn3.call(this.#conv3.call(second)), this.shortcut(input));
  }
}

interface ResNetShape {
  Block: typeof BasicBlock | typeof Bottleneck;
  /** Blocks of each stage; every stage but the first halves the image and doubles the channels. */
  stages: readonly number[];
  /** Channels of the stem and the first stage. */
  base: number;
}

/** A CIFAR ResNet: 3×3 stem without pooling, stages, the mean over what is left of the image, one Linear. */
class CifarResNet extends nn.Module {
  readonly #conv1: nn.Module;
  readonly #bn1: nn.Module;
  readonly #stages: nn.Module[];
  readonly #linear: nn.Module;

  constructor({ Block, stages, base }: ResNetShape, { layers, numClasses, channels }: BuildContext) {
    super();
    let inChannels = channels(base);
    const stem = { inChannels: 3, outChannels: inChannels, kernelSize: 3, padding: 1, bias: false, inputSigned: true };
    this.#conv1 = this.registerModule("conv1", layers.conv2d(stem));
    this.#bn1 = this.registerModule("bn1", new nn.BatchNorm2d(inChannels));
    this.#stages = stages.map((count, stage) => {
      const width = channels(base * 2 ** stage);
      const blocks = Array.from({ length: count }, (_, i) => {
        const block = new Block(layers, { inChannels, channels: width, stride: stage > 0 && i === 0 ? 2 : 1 });
        inChannels = width * Block.expansion;
        return block;
      });
      return this.registerModule(`layer${stage + 1}`, new nn.Sequential(...blocks));
    });
    this.#linear = this.registerModule("linear", new nn.Linear(inChannels, numClasses, { initialise: false }));
  }

  override forward(input: Tensor): Tensor {
    const stem = ops.relu_(this.#bn1.call(this.#conv1.call(input)));
    const features = this.#stages.reduce((value, stage) => stage.call(value), stem);
    const pooled = ops.avgPool2d(features, features.shape.slice(2));
    return this.#linear.call(pooled.flatten(1));
  }
}

function resNet(name: string, shape: ResNetShape): Architecture {
  return { name, build: (context) => new CifarResNet(shape, context) };
}

/** The ResNets for 32×32 images: 64 channels wide in four stages, and 16 wide in three. */
export const cifarResNets: readonly Architecture[] = [
  resNet("ResNet18", { Block: BasicBlock, stages: [2, 2, 2, 2], base: 64 }),
  resNet("ResNet34", { Block: BasicBlock, stages: [3, 4, 6, 3], base: 64 }),
  resNet("ResNet50", { Block: Bottleneck, stages: [3, 4, 6, 3], base: 64 }),
  resNet("ResNet101", { Block: Bottleneck, stages: [3, 4, 23, 3], base: 64 }),
  resNet("ResNet152", { Block: Bottleneck, stages: [3, 8, 36, 3], base: 64 }),
  resNet("ResNet20", { Block: BasicBlock, stages: [3, 3, 3], base: 16 }),
  resNet("ResNet110", { Block: BasicBlock, stages: [18, 18, 18], base: 16 }),
];
