import { nn, ops, Tensor } from "@peekaboo/torch";
import { type InitMethod, initialiseUniformBias, initialiseWeight } from "../init/weights.js";
import { maskedLayers, psgLayers } from "../layers/factory.js";
import { MaskedConv2d } from "../layers/masked-conv2d.js";
import type { PsgOptions } from "../layers/psg-conv2d.js";
import { findNetwork } from "./registry.js";

export interface NetworkOptions {
  /** E.g. "PsgResNet18". */
  arch: string;
  numClasses: number;
  /** Factor on every layer's channels. */
  width?: number;
  /** Needed by a PSG network. */
  psg?: PsgOptions;
}

/** A network by name: its module, its prunable layers and who trains what. */
export class Network {
  readonly options: NetworkOptions;
  readonly module: nn.Module;

  /** Builds the network with zero weights. Throws UserError for an unknown architecture. */
  constructor(options: NetworkOptions) {
    this.options = options;
    const { arch, numClasses, width = 1, psg } = options;
    const { architecture, variant } = findNetwork(arch);
    if (variant === "psg" && psg === undefined) throw new TypeError(`Network: expected PSG options for ${arch}`);
    const layers = variant === "psg" && psg !== undefined ? psgLayers(psg) : maskedLayers;
    const channels = (paper: number) => Math.max(1, Math.round(paper * width));
    this.module = architecture.build({ layers, numClasses, channels });
  }

  /** Logits [N, classes] of images [N, C, H, W]. */
  call(input: Tensor): Tensor {
    return this.module.call(input);
  }

  /** The same network with plain convolutions and no mask or weights yet: what a pruner works on. */
  plainTwin(): Network {
    const { architecture } = findNetwork(this.options.arch);
    return new Network({ ...this.options, arch: architecture.name });
  }

  /** Prunable layers by the state name of their weight. */
  prunable(): Map<string, MaskedConv2d> {
    const layers = new Map<string, MaskedConv2d>();
    for (const [name, module] of this.module.namedModules()) {
      if (module instanceof MaskedConv2d) layers.set(`${name}.weight`, module);
    }
    return layers;
  }

  /** The masks (uint8) of the layers that have one, by the state name of their weight. */
  masks(): Map<string, Tensor> {
    const masks = new Map<string, Tensor>();
    for (const [name, { mask }] of this.prunable()) if (mask !== null) masks.set(name, mask);
    return masks;
  }

  /** Takes copies of masks over, by the state name of the weight they belong to. */
  setMasks(masks: ReadonlyMap<string, Tensor>): void {
    for (const [name, layer] of this.prunable()) {
      const mask = masks.get(name);
      if (mask === undefined) continue;
      const { device } = layer.weight;
      layer.setMask(mask.device === device ? mask.clone() : mask.to({ device }));
    }
  }

  /** What Bop owns: every parameter of a convolution. */
  bopParameters(): Map<string, Tensor> {
    const parameters = new Map<string, Tensor>();
    for (const [name, module] of this.module.namedModules()) {
      if (!(module instanceof MaskedConv2d)) continue;
      for (const [own, tensor] of module.namedParameters(name)) parameters.set(own, tensor);
    }
    return parameters;
  }

  /** What SGD owns beside Bop: BatchNorm and Linear. */
  otherParameters(): Map<string, Tensor> {
    const bop = this.bopParameters();
    return new Map([...this.module.namedParameters()].filter(([name]) => !bop.has(name)));
  }

  /** Fills convolutions by `method` and Linear by PyTorch's default, every tensor from (seed, its state name). */
  initialise(method: InitMethod, seed: number): void {
    for (const [name, module] of this.module.namedModules()) {
      if (!(module instanceof nn.Conv2d || module instanceof nn.Linear)) continue;
      const { weight, bias } = module;
      const own = module instanceof nn.Conv2d ? method : "standard";
      fill(weight, initialiseWeight(own, seed, `${name}.weight`, weight.shape));
      if (bias !== null) {
        const { fanIn } = nn.init.fans(weight);
        fill(bias, initialiseUniformBias(seed, `${name}.bias`, fanIn, bias.numel));
      }
    }
  }

  dispose(): void {
    this.module.dispose();
  }
}

function fill(tensor: Tensor, values: Float32Array): void {
  const source = Tensor.from(values, { shape: tensor.shape, share: true });
  ops.copy_(tensor.detach(), source);
  source.dispose();
}
