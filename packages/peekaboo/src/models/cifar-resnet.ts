import { nn, ops, type Tensor } from "@peekaboo/torch";
import { normAct } from "../layers/norm-act.js";
import { type Architecture, type BuildContext, forCifar } from "./architecture.js";
import { BasicBlock, Bottleneck } from "./residual-blocks.js";

interface ResNetShape {
  Block: typeof BasicBlock | typeof Bottleneck;
  /** Blocks of each stage; every stage but the first halves the image and doubles the channels. */
  stages: readonly number[];
  /** Channels of the stem and the first stage. */
  base: number;
  /** Learns nothing in a shortcut of the variant "seed". */
  freeSeedShortcuts?: boolean;
}

/** A CIFAR ResNet: 3×3 stem without pooling, stages, the mean over what is left of the image, one Linear. */
class CifarResNet extends nn.Module {
  readonly #conv1: nn.Module;
  readonly #bn1: nn.BatchNorm2d;
  readonly #stages: nn.Module[];
  readonly #linear: nn.Module;

  constructor({ Block, stages, base, freeSeedShortcuts = false }: ResNetShape, context: BuildContext) {
    super();
    const { layers, numClasses, channels, imageShape, variant } = context;
    const shortcut = { name: freeSeedShortcuts && variant === "seed" ? null : "shortcut" };
    let inChannels = channels(base);
    const stem = { inChannels: imageShape[0], outChannels: inChannels, kernelSize: 3, padding: 1, inputSigned: true };
    this.#conv1 = this.registerModule("conv1", layers.conv2d(stem));
    this.#bn1 = this.registerModule("bn1", new nn.BatchNorm2d(inChannels));
    this.#stages = stages.map((count, stage) => {
      const width = channels(base * 2 ** stage);
      const outChannels = width * Block.expansion;
      const blocks = Array.from({ length: count }, (_, i) => {
        const stride = stage > 0 && i === 0 ? 2 : 1;
        const block = new Block(layers, { inChannels, channels: width, outChannels, stride, shortcut });
        inChannels = outChannels;
        return block;
      });
      return this.registerModule(`layer${stage + 1}`, new nn.Sequential(...blocks));
    });
    this.#linear = this.registerModule("linear", new nn.Linear(inChannels, numClasses, { initialise: false }));
  }

  override forward(input: Tensor): Tensor {
    const features = nn.inTurn(
      () => normAct(this.#bn1, this.#conv1.call(input)),
      this.#stages.map((stage) => (value) => stage.call(value)),
    );
    const pooled = ops.avgPool2d(features, features.shape.slice(2));
    return this.#linear.call(pooled.flatten(1));
  }
}

function resNet(name: string, shape: ResNetShape): Architecture {
  return { name, ...forCifar, build: (context) => new CifarResNet(shape, context) };
}

/** The ResNets for 32×32 images: 64 channels wide in four stages, and 16 wide in three. */
export const cifarResNets: readonly Architecture[] = [
  resNet("ResNet18", { Block: BasicBlock, stages: [2, 2, 2, 2], base: 64 }),
  resNet("ResNet34", { Block: BasicBlock, stages: [3, 4, 6, 3], base: 64 }),
  resNet("ResNet50", { Block: Bottleneck, stages: [3, 4, 6, 3], base: 64 }),
  resNet("ResNet101", { Block: Bottleneck, stages: [3, 4, 23, 3], base: 64 }),
  resNet("ResNet152", { Block: Bottleneck, stages: [3, 8, 36, 3], base: 64 }),
  resNet("ResNet20", { Block: BasicBlock, stages: [3, 3, 3], base: 16, freeSeedShortcuts: true }),
  resNet("ResNet110", { Block: BasicBlock, stages: [18, 18, 18], base: 16 }),
];
