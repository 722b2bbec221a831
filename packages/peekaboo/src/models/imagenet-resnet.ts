import { nn, ops, type Tensor } from "@peekaboo/torch";
import { normAct } from "../layers/norm-act.js";
import { type Architecture, type BuildContext, forImageNet } from "./architecture.js";
import { BasicBlock, Bottleneck } from "./residual-blocks.js";

interface ResNetShape {
  Block: typeof BasicBlock | typeof Bottleneck;
  /** Blocks of each stage; every stage but the first halves the image and doubles the channels. */
  stages: readonly number[];
  /** Groups of a bottleneck's 3×3 convolution; default 1. */
  groups?: number;
  /** Channels of each group where the stage has 64 planes; default 64. */
  groupWidth?: number;
}

/** Channels of the first stage; a bottleneck puts out four times as many. */
const BASE = 64;

/** In the plain networks pruners leave the projections alone, as the original does. */
const SHORTCUT = { name: "downsample", prunable: false };

/** An ImageNet ResNet in torchvision's layout: 7×7 stem of stride 2, 3×3 max pooling, stages, the mean, masked `fc`. */
class ImageNetResNet extends nn.Module {
  readonly #conv1: nn.Module;
  readonly #bn1: nn.BatchNorm2d;
  readonly #stages: nn.Module[];
  readonly #fc: nn.Module;

  constructor({ Block, stages, groups = 1, groupWidth = BASE }: ResNetShape, context: BuildContext) {
    super();
    const { layers, numClasses, channels, imageShape } = context;
    let inChannels = channels(BASE);
    const stem = { inChannels: imageShape[0], outChannels: inChannels, kernelSize: 7, stride: 2, padding: 3 };
    this.#conv1 = this.registerModule("conv1", layers.conv2d({ ...stem, inputSigned: true }));
    this.#bn1 = this.registerModule("bn1", new nn.BatchNorm2d(inChannels));
    this.#stages = stages.map((count, stage) => {
      const inner = groups * channels(groupWidth * 2 ** stage);
      const outChannels = channels(BASE * 2 ** stage) * Block.expansion;
      const blocks = Array.from({ length: count }, (_, i) => {
        const stride = stage > 0 && i === 0 ? 2 : 1;
        const shape = { inChannels, channels: inner, outChannels, stride, groups, shortcut: SHORTCUT };
        inChannels = outChannels;
        return new Block(layers, shape);
      });
      return this.registerModule(`layer${stage + 1}`, new nn.Sequential(...blocks));
    });
    this.#fc = this.registerModule("fc", layers.linear({ inFeatures: inChannels, outFeatures: numClasses }));
  }

  override forward(input: Tensor): Tensor {
    const features = nn.inTurn(
      () => ops.maxPool2d(normAct(this.#bn1, this.#conv1.call(input)), 3, 2, 1),
      this.#stages.map((stage) => (value) => stage.call(value)),
    );
    return this.#fc.call(ops.adaptiveAvgPool2d(features, 1).flatten(1));
  }
}

function resNet(name: string, shape: ResNetShape): Architecture {
  return { name, ...forImageNet, build: (context) => new ImageNetResNet(shape, context) };
}

/** The ResNets (He et al. 2016), ResNeXts (Xie et al. 2017) and wide ResNets for 224×224 images. */
export const imageNetResNets: readonly Architecture[] = [
  resNet("resnet18", { Block: BasicBlock, stages: [2, 2, 2, 2] }),
  resNet("resnet34", { Block: BasicBlock, stages: [3, 4, 6, 3] }),
  resNet("resnet50", { Block: Bottleneck, stages: [3, 4, 6, 3] }),
  resNet("resnet101", { Block: Bottleneck, stages: [3, 4, 23, 3] }),
  resNet("resnet152", { Block: Bottleneck, stages: [3, 8, 36, 3] }),
  resNet("resnext50_32x4d", { Block: Bottleneck, stages: [3, 4, 6, 3], groups: 32, groupWidth: 4 }),
  resNet("resnext101_32x8d", { Block: Bottleneck, stages: [3, 4, 23, 3], groups: 32, groupWidth: 8 }),
  resNet("wide_resnet50_2", { Block: Bottleneck, stages: [3, 4, 6, 3], groupWidth: 128 }),
  resNet("wide_resnet101_2", { Block: Bottleneck, stages: [3, 4, 23, 3], groupWidth: 128 }),
];
