import { nn, ops, type Tensor } from "@peekaboo/torch";
import type { LayerFactory } from "../layers/factory.js";
import { normAct } from "../layers/norm-act.js";

export interface BlockShape {
  inChannels: number;
  /** Channels of the 3×3 convolutions; a bottleneck puts out four times its `planes`. */
  channels: number;
  outChannels: number;
  stride: number;
  /** Groups of a bottleneck's 3×3 convolution; default 1. */
  groups?: number;
  shortcut: ShortcutStyle;
}

/** What stands in for the identity where a block changes the shape. */
interface ShortcutStyle {
  /** The name of a 1×1 convolution and its BatchNorm in the state; null pads with zero channels and learns nothing. */
  name: string | null;
  /** Whether a plain network's pruners see that convolution. */
  prunable?: boolean;
}

/** Every second pixel, and zero channels added half before and half after (He et al. 2016, option A). */
function subsampled(input: Tensor, { inChannels, outChannels, stride }: BlockShape): Tensor {
  const [, , height = 0, width = 0] = input.shape;
  const pixels = input.slice(2, 0, height, stride).slice(3, 0, width, stride);
  const before = Math.floor((outChannels - inChannels) / 2);
  return ops.pad(pixels, [0, 0, 0, 0, before, outChannels - inChannels - before]);
}

abstract class ResidualBlock extends nn.Module {
  readonly #shape: BlockShape;
  #projection: nn.Module | null = null;

  constructor(shape: BlockShape) {
    super();
    this.#shape = shape;
  }

  /** Registers the projection that a change of shape needs; call it last, for the order of the state. */
  protected addShortcut(layers: LayerFactory): void {
    const { inChannels, outChannels, stride, shortcut } = this.#shape;
    if (!this.#reshapes || shortcut.name === null) return;
    const { prunable = true } = shortcut;
    const projection = layers.conv2d({ inChannels, outChannels, kernelSize: 1, stride, prunable });
    this.#projection = this.registerModule(
      shortcut.name,
      new nn.Sequential(projection, new nn.BatchNorm2d(outChannels)),
    );
  }

  get #reshapes(): boolean {
    const { stride, inChannels, outChannels } = this.#shape;
    return stride !== 1 || inChannels !== outChannels;
  }

  protected shortcut(input: Tensor): Tensor {
    if (this.#projection !== null) return this.#projection.call(input);
    return this.#reshapes ? subsampled(input, this.#shape) : input;
  }
}

/** Two 3×3 convolutions and a shortcut (He et al. 2016, fig. 5 left). */
export class BasicBlock extends ResidualBlock {
  static readonly expansion = 1;
  readonly #conv1: nn.Module;
  readonly #bn1: nn.BatchNorm2d;
  readonly #conv2: nn.Module;
  readonly #bn2: nn.BatchNorm2d;

  constructor(layers: LayerFactory, shape: BlockShape) {
    super(shape);
    const { inChannels, channels, stride } = shape;
    const common = { outChannels: channels, kernelSize: 3, padding: 1 };
    this.#conv1 = this.registerModule("conv1", layers.conv2d({ inChannels, stride, ...common }));
    this.#bn1 = this.registerModule("bn1", new nn.BatchNorm2d(channels));
    this.#conv2 = this.registerModule("conv2", layers.conv2d({ inChannels: channels, ...common }));
    this.#bn2 = this.registerModule("bn2", new nn.BatchNorm2d(channels));
    this.addShortcut(layers);
  }

  override forward(input: Tensor): Tensor {
    const hidden = normAct(this.#bn1, this.#conv1.call(input));
    return normAct(this.#bn2, this.#conv2.call(hidden), () => this.shortcut(input));
  }
}

/** 1×1, 3×3 and 1×1 convolutions and a shortcut (He et al. 2016, fig. 5 right); the 3×3 strides. */
export class Bottleneck extends ResidualBlock {
  static readonly expansion = 4;
  readonly #conv1: nn.Module;
  readonly #bn1: nn.BatchNorm2d;
  readonly #conv2: nn.Module;
  readonly #bn2: nn.BatchNorm2d;
  readonly #conv3: nn.Module;
  readonly #bn3: nn.BatchNorm2d;

  constructor(layers: LayerFactory, shape: BlockShape) {
    super(shape);
    const { inChannels, channels, outChannels, stride, groups = 1 } = shape;
    const spatial = { inChannels: channels, outChannels: channels, kernelSize: 3, padding: 1, stride, groups };
    this.#conv1 = this.registerModule("conv1", layers.conv2d({ inChannels, outChannels: channels, kernelSize: 1 }));
    this.#bn1 = this.registerModule("bn1", new nn.BatchNorm2d(channels));
    this.#conv2 = this.registerModule("conv2", layers.conv2d(spatial));
    this.#bn2 = this.registerModule("bn2", new nn.BatchNorm2d(channels));
    this.#conv3 = this.registerModule("conv3", layers.conv2d({ inChannels: channels, outChannels, kernelSize: 1 }));
    this.#bn3 = this.registerModule("bn3", new nn.BatchNorm2d(outChannels));
    this.addShortcut(layers);
  }

  override forward(input: Tensor): Tensor {
    const first = normAct(this.#bn1, this.#conv1.call(input));
    const second = normAct(this.#bn2, this.#conv2.call(first));
    return normAct(this.#bn3, this.#conv3.call(second), () => this.shortcut(input));
  }
}
