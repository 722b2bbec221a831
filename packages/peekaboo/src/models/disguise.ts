import { quoted } from "@peekaboo/files/errors";
import type { InitMethod } from "@peekaboo/seed";
import { nn, UserError } from "@peekaboo/torch";
import type { ImageShape } from "../data/batch.js";
import type { LayerFactory } from "../layers/factory.js";
import type { HiddenAct } from "../layers/latent-score.js";
import type { MaskedConv2dOptions } from "../layers/masked-conv2d.js";
import { MaskedLayer } from "../layers/masked-layer.js";
import type { PsgOptions } from "../layers/psg-conv2d.js";
import { type Architecture, type BuildContext, forCifar, type Variant } from "./architecture.js";
import { buildNetwork } from "./build.js";
import type { Network } from "./network.js";
import { type Dressed, type Slot, shadowOf } from "./shadow.js";
import { type Traced, traceOf } from "./trace.js";

/** Which layers a rule means: by their names, all below a name included, or by a function of name and layer. */
export type LayerRule = readonly string[] | ((name: string, layer: nn.Conv2d | nn.Linear) => boolean);

/** What is done to the layers of a module of one's own. */
export interface DisguiseRules {
  /** The layers that are pruned; the convolutions among them learn their signs. Default: every convolution, or every Linear where there is none. */
  prunable?: LayerRule | undefined;
  /** The convolutions whose input may be negative; default: those that no ReLU and the like precedes, as one pass shows. */
  inputSigned?: LayerRule | undefined;
  /** Who trains the biases of convolutions: Bop by their signs, as those of the project's networks (the default), or SGD. */
  biases?: "bop" | "sgd" | undefined;
}

/** How {@link disguise} makes a network of a module. */
export interface DisguiseOptions extends DisguiseRules {
  /** How it learns; default: "psg", by predicted sign gradients. */
  variant?: Variant;
  /** What the predicted gradient is made with; default: the paper's settings. */
  psg?: Partial<PsgOptions>;
  /** What a Seed network's latent scores do to its fixed weights. */
  hiddenAct?: HiddenAct;
  /** Edge-popup's fraction of kept weights. */
  hiddenDensity?: number;
  /** A learnable factor per input channel of a Seed network's convolutions. */
  scalingInput?: boolean;
  /** [C, H, W] of its images; default: CIFAR's [3, 32, 32]. */
  imageShape?: ImageShape;
  /** What the outputs stand for, in order. */
  classes?: readonly string[];
  /** What it is called in files; default: the name of its class. */
  name?: string;
  /** How its prunable convolutions are initialised; default: "kaiming_normal". */
  init?: InitMethod;
  /** What all random weights follow from, each by its state name; default: 0. */
  seed?: number;
  /** Where its tensors lie, e.g. "cuda:0"; default: "cpu". */
  device?: string;
}

/**
 * Makes a network of a module as PyTorch's users write them: its `nn.Conv2d` and `nn.Linear` get masks, predicted gradients or latent
 * scores, and all weights are drawn from the seed. The module is used up: it computes with what the network has, and the network's
 * `dispose` frees both.
 *
 * @throws {UserError} when nothing of it can be pruned, a rule names what isn't there, or what comes out aren't logits [N, classes].
 */
export function disguise(module: nn.Module, options: DisguiseOptions = {}): Network {
  const {
    imageShape = forCifar.imageShape,
    name = module.constructor.name || "Network",
    prunable,
    inputSigned,
    biases,
    ...rest
  } = options;
  const whole = isLayer(module) ? new nn.Sequential(module) : module;
  const traced = traceOf(whole, imageShape, "disguise");
  const numClasses = traced.classes;
  const facts = { name, imageShape, numClasses, traced };
  const architecture = architectureOfModule(whole, { ...facts, prunable, inputSigned, biases });
  return buildNetwork(architecture, { ...rest, imageShape, numClasses });
}

/** A description of a network that is made by a function, as often as it is asked for. */
export function architectureOf(
  make: (context: BuildContext) => nn.Module,
  rules: DisguiseRules,
  given: Pick<Architecture, "name"> & Partial<Pick<Architecture, "imageShape" | "numClasses">>,
): Architecture {
  return {
    ...forCifar,
    ...given,
    build: (context) => {
      const made = make(context);
      try {
        const whole = isLayer(made) ? new nn.Sequential(made) : made;
        const traced = checkedTrace(whole, context, given.name);
        return dress(whole, context.layers, rules, traced, given.name).module;
      } catch (error) {
        made.dispose();
        throw error;
      }
    },
  };
}

/** The same of a module that there is once, `traced` already or not: what is built after it is its shadow. */
export function architectureOfModule(
  module: nn.Module,
  {
    name,
    imageShape,
    numClasses,
    traced,
    ...rules
  }: DisguiseRules & Pick<Architecture, "name" | "imageShape" | "numClasses"> & { traced?: Traced },
): Architecture {
  let dressed: Dressed | null = null;
  return {
    ...forCifar,
    name,
    imageShape,
    numClasses,
    build: (context) => {
      if (dressed !== null) return shadowOf(dressed, context.layers);
      dressed = dress(module, context.layers, rules, traced ?? checkedTrace(module, context, name), name);
      return module;
    },
  };
}

/** What a module shows in one pass. @throws {UserError} when it doesn't take the images, or has other outputs than there are classes. */
export function checkedTrace(
  module: nn.Module,
  { imageShape, numClasses }: Pick<BuildContext, "imageShape" | "numClasses">,
  name: string,
): Traced {
  const traced = traceOf(module, imageShape, `build ${name}`);
  if (traced.classes === numClasses) return traced;
  throw new UserError({
    operation: `build ${name}`,
    argument: "its outputs",
    expected: `as many as the ${numClasses} classes`,
    received: String(traced.classes),
    remedy: "make as many as `numClasses`, which its function is given",
  });
}

/** Puts layers of a factory in the place of those that the rules mean. */
function dress(module: nn.Module, layers: LayerFactory, rules: DisguiseRules, traced: Traced, name: string): Dressed {
  const own = [...module.namedModules()].filter((entry): entry is [string, nn.Conv2d | nn.Linear] => isLayer(entry[1]));
  const isPrunable = ruleOf(rules.prunable ?? defaultRule(own), own, "prunable", name);
  const isSigned =
    rules.inputSigned === undefined
      ? (path: string) => traced.signed.has(`${path}.weight`)
      : ruleOf(rules.inputSigned, own, "inputSigned", name);
  const standIns = new Map<nn.Module, MaskedLayer>();
  const slots: Slot[] = [];
  for (const [path, layer] of own) {
    if (!isPrunable(path, layer)) continue;
    const known = standIns.get(layer);
    if (known === undefined && !traced.called.has(`${path}.weight`)) throw uncalled(name, path);
    const standIn =
      known ?? standInFor(layer, layers, { inputSigned: isSigned(path, layer), biasBy: rules.biases ?? "bop" });
    module.replaceModule(path, standIn);
    if (known !== undefined) continue;
    standIns.set(layer, standIn);
    slots.push({ layer, standIn });
    layer.standIn = standIn;
    layer.dispose();
  }
  if (slots.length === 0) throw nothingToPrune(name);
  return { module, slots };
}

function standInFor(
  layer: nn.Conv2d | nn.Linear,
  layers: LayerFactory,
  how: Pick<MaskedConv2dOptions, "inputSigned" | "biasBy">,
): MaskedLayer {
  const bias = layer.bias !== null;
  const [outFeatures = 0, inFeatures = 0] = layer.weight.shape;
  const made =
    layer instanceof nn.Conv2d
      ? layers.conv2d({ ...layer.options, ...how })
      : layers.linear({ inFeatures, outFeatures, bias });
  if (made instanceof MaskedLayer) return made;
  throw new TypeError("disguise: expected the factory's layers to be masked ones");
}

/** Whether it is one of PyTorch's own layers, not a class that does something else. */
function isLayer(module: nn.Module): module is nn.Conv2d | nn.Linear {
  return module.constructor === nn.Conv2d || module.constructor === nn.Linear;
}

function defaultRule(own: readonly (readonly [string, nn.Module])[]): LayerRule {
  const anyConvolution = own.some(([, layer]) => layer instanceof nn.Conv2d);
  return (_, layer) => !anyConvolution || layer instanceof nn.Conv2d;
}

function ruleOf(
  rule: LayerRule,
  own: readonly (readonly [string, nn.Module])[],
  argument: string,
  name: string,
): (path: string, layer: nn.Conv2d | nn.Linear) => boolean {
  if (typeof rule === "function") return rule;
  const means = (named: string, path: string) => path === named || path.startsWith(`${named}.`);
  const unknown = rule.find((named) => !own.some(([path]) => means(named, path)));
  if (unknown !== undefined) {
    throw new UserError({
      operation: `build ${name}`,
      argument,
      expected: `names of its convolutions and Linear layers: ${own.map(([path]) => path).join(", ")}`,
      received: quoted(unknown),
    });
  }
  return (path) => rule.some((named) => means(named, path));
}

function nothingToPrune(name: string): UserError {
  return new UserError({
    operation: `build ${name}`,
    argument: "its layers",
    expected: "an nn.Conv2d or nn.Linear of @peekaboo/torch that the rule `prunable` means",
    received: "none",
    remedy: "masks and signs are those of such layers; see docs/extending.md",
  });
}

function uncalled(name: string, path: string): UserError {
  return new UserError({
    operation: `build ${name}`,
    argument: quoted(path),
    expected: "a layer that the forward pass calls",
    received: "one that it doesn't, so that a mask would have no effect",
    remedy: "use it by its `call`, or leave it out of `prunable`",
  });
}
