import { type InitMethod, initialiseUniformBias, initialiseWeight, uniformBetween } from "@peekaboo/seed";
import { nn, ops, scope, Tensor, UserError } from "@peekaboo/torch";
import type { ImageShape } from "../data/batch.js";
import { maskedLayers, variantLayers } from "../layers/factory.js";
import { type HiddenAct, type LatentOptions, SCORE_BOUNDS } from "../layers/latent-score.js";
import { type Convolution, DEFAULT_CONVOLUTION, MaskedConv2d } from "../layers/masked-conv2d.js";
import { MaskedLayer } from "../layers/masked-layer.js";
import { useOwnNorms } from "../layers/norm-act.js";
import type { PsgOptions } from "../layers/psg-conv2d.js";
import { setting } from "../setting.js";
import type { Architecture, Variant } from "./architecture.js";
import { findNetwork, variantCalled } from "./registry.js";

export interface NetworkOptions {
  /** E.g. "PsgResNet18". */
  arch: string;
  /** The description that `arch` names with its variant's prefix, where it isn't one of the project's own. */
  architecture?: Architecture;
  numClasses: number;
  /** What the outputs stand for, in order, where that is known. */
  classes?: readonly string[];
  /** Default: what the architecture was made for. */
  imageShape?: ImageShape;
  /** Factor on every layer's channels. */
  width?: number;
  /** Probability that WideResNet drops a value in training. */
  dropout?: number;
  /** Needed by a PSG network. */
  psg?: PsgOptions;
  /** Needed by a Seed network; PsgSeed's is "flipping". */
  hiddenAct?: HiddenAct;
  /** Edge-popup's fraction of kept weights. */
  hiddenDensity?: number;
  /** A learnable factor per input channel of a Seed network's convolutions. */
  scalingInput?: boolean;
  /** How masked convolutions are computed; default: {@link DEFAULT_CONVOLUTION}. */
  conv?: Convolution;
}

/** A network by name: its module, its prunable layers and who trains what. */
export class Network {
  readonly options: NetworkOptions;
  readonly variant: Variant;
  readonly imageShape: ImageShape;
  readonly module: nn.Module;
  readonly #isTwin: boolean;
  #origin: { readonly init: InitMethod; readonly seed: number } | null = null;

  /** Builds the network with zero weights. @throws {UserError} for an unknown architecture or options that don't suit it. */
  constructor(options: NetworkOptions, { twin = false } = {}) {
    const { arch, numClasses, width = 1, dropout = 0, conv = DEFAULT_CONVOLUTION } = options;
    const { architecture, variant } = options.architecture
      ? variantCalled(arch, options.architecture)
      : findNetwork(arch);
    this.options = options;
    this.variant = variant;
    this.imageShape = options.imageShape ?? architecture.imageShape;
    this.#isTwin = twin;
    const channels = (paper: number) => Math.max(1, Math.round(paper * width));
    const layers =
      twin || variant === "plain"
        ? maskedLayers(conv)
        : variantLayers({ psg: psgOf(options, variant), latent: latentOf(options, variant), conv });
    this.module = architecture.build({ variant, layers, numClasses, imageShape: this.imageShape, dropout, channels });
    useOwnNorms(this.module);
  }

  /** Logits [N, classes] of images [N, C, H, W]. */
  call(input: Tensor): Tensor {
    return this.module.call(input);
  }

  /** The same structure with plain convolutions and no mask or weights yet: what a pruner works on. */
  plainTwin(): Network {
    return new Network(this.options, { twin: true });
  }

  /** Masked layers by the state name of their weight. */
  #masked(): Map<string, MaskedLayer> {
    const layers = new Map<string, MaskedLayer>();
    const seen = new Set<nn.Module>();
    for (const [name, module] of this.module.namedModules()) {
      if (module instanceof MaskedLayer && !seen.has(module)) layers.set(`${name}.weight`, module);
      seen.add(module);
    }
    return layers;
  }

  /** Prunable layers by the state name of their weight. */
  prunable(): Map<string, MaskedLayer> {
    return new Map([...this.#masked()].filter(([, { prunable }]) => prunable));
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

  /** What Bop owns: weight, latent score and mostly bias of every convolution. */
  bopParameters(): Map<string, Tensor> {
    const parameters = new Map<string, Tensor>();
    for (const [name, module] of this.module.namedModules()) {
      if (!(module instanceof MaskedConv2d)) continue;
      for (const [own, tensor] of module.namedParameters(name)) {
        const isOwn = own.endsWith(".bias") ? module.options.biasBy === "bop" : /\.(weight|t)$/.test(own);
        if (isOwn) parameters.set(own, tensor);
      }
    }
    return parameters;
  }

  /** What SGD owns beside Bop: BatchNorm, Linear, and the thresholds and scales of latent scores. */
  otherParameters(): Map<string, Tensor> {
    const bop = this.bopParameters();
    return new Map([...this.module.namedParameters()].filter(([name]) => !bop.has(name)));
  }

  /** What its weights grew from; null before {@link initialise}. */
  get origin(): { readonly init: InitMethod; readonly seed: number } | null {
    return this.#origin;
  }

  /** Fills masked convolutions by `method`, others and Linear by PyTorch's default, every tensor from (seed, its state name). `onDrawn` hears how many weights have been drawn. */
  initialise(method: InitMethod, seed: number, onDrawn?: (done: number) => void): void {
    this.#origin = { init: method, seed };
    let done = 0;
    for (const [name, module] of this.module.namedModules()) {
      if (!(module instanceof MaskedLayer || module instanceof nn.Linear || module instanceof nn.Conv2d)) continue;
      const { weight, bias } = module;
      const own = module instanceof MaskedConv2d ? method : "standard";
      fill(weight, initialiseWeight(own, seed, `${name}.weight`, weight.shape));
      if (bias !== null) {
        const { fanIn } = nn.init.fans(weight);
        fill(bias, initialiseUniformBias(seed, `${name}.bias`, fanIn, bias.numel));
      }
      if (module instanceof MaskedConv2d) initialiseScore(module, `${name}.t`, seed);
      done += weight.numel;
      onDrawn?.(done);
    }
  }

  /**
   * The state of the plain network that computes the same: each masked weight as it takes effect, without scores. The
   * tensors are the caller's to free.
   */
  effectiveState(): Map<string, Tensor> {
    const masked = this.#masked();
    const state = new Map<string, Tensor>();
    const twin = this.#isTwin ? this : this.plainTwin();
    for (const name of twin.module.stateDict().keys()) {
      const layer = masked.get(name);
      const own = this.module.stateDict().get(name);
      if (own === undefined) throw new TypeError(`effectiveState: ${name} is missing`);
      state.set(name, (layer === undefined ? own : layer.effectiveWeight()).detach().clone());
    }
    if (twin !== this) twin.dispose();
    return state;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  dispose(): void {
    this.module.dispose();
  }
}

function psgOf({ arch, psg }: NetworkOptions, variant: Variant): PsgOptions | null {
  if (variant === "plain" || variant === "seed") return null;
  if (psg === undefined) throw new TypeError(`Network: expected PSG options for ${arch}`);
  return psg;
}

function latentOf(options: NetworkOptions, variant: Variant): LatentOptions | null {
  const { arch, hiddenAct, hiddenDensity = 1, scalingInput = false } = options;
  if (variant === "plain" || variant === "psg") return null;
  const act = variant === "psg-seed" ? (hiddenAct ?? "flipping") : hiddenAct;
  if (act === undefined || (variant === "psg-seed" && act !== "flipping")) {
    const expected = act === undefined ? `what ${arch}'s latent scores do to its weights` : "flipping, or nothing";
    throw new UserError({
      operation: `build ${arch}`,
      argument: setting("hiddenAct"),
      expected,
      received: act ?? "none given",
      remedy: act === undefined ? "give pruning, flipping, ternary, none or edge-popup" : "leave it out",
    });
  }
  return { act, density: hiddenDensity, scalingInput };
}

function initialiseScore({ latent, weight }: MaskedConv2d, name: string, seed: number): void {
  const t = latent?.parameters.get("t");
  if (latent === null || latent.options.act === "none" || t === undefined) return;
  const bounds = SCORE_BOUNDS[latent.options.act];
  const values =
    bounds === null
      ? initialiseWeight("standard", seed, name, weight.shape)
      : uniformBetween(seed, name, weight.numel, ...bounds);
  fill(t, values);
}

function fill(tensor: Tensor, values: Float32Array): void {
  scope(() => void ops.copy_(tensor.detach(), Tensor.from(values, { shape: tensor.shape, share: true })));
}
