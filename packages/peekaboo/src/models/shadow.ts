import { nn, noGrad, type Tensor } from "@peekaboo/torch";
import type { LayerFactory } from "../layers/factory.js";
import { MaskedConv2d } from "../layers/masked-conv2d.js";
import { MaskedLayer } from "../layers/masked-layer.js";

/** A layer of a user's module, and the masked one that computes in its place. */
export interface Slot {
  readonly layer: nn.Conv2d | nn.Linear;
  readonly standIn: MaskedLayer;
}

/** A module whose layers have stand-ins. */
export interface Dressed {
  readonly module: nn.Module;
  readonly slots: readonly Slot[];
}

/**
 * A second module that computes as a dressed one does, on copies of its parameters and buffers, with the layers of a
 * factory: for modules that can't be built again. While it computes, the original has its tensors.
 */
export function shadowOf(dressed: Dressed, layers: LayerFactory): nn.Module {
  return new Shadows(dressed, layers).root;
}

/** A part of the second module: it holds tensors, the original's code computes. */
class Shadow extends nn.Module {
  /** How the whole module computes: set for the root. */
  compute: ((input: Tensor) => Tensor) | null = null;

  constructor(
    original: nn.Module,
    children: readonly (readonly [string, nn.Module])[],
    copyOf: (tensor: Tensor) => Tensor,
  ) {
    super();
    for (const [name, child] of children) this.registerModule(name, child);
    for (const [name, tensor] of original.namedParameters())
      if (!name.includes(".")) this.registerParameter(name, copyOf(tensor));
    const persistent = new Set([...original.namedBuffers()].map(([name]) => name));
    for (const [name, tensor] of original.namedBuffers({ all: true }))
      if (!name.includes(".")) this.registerBuffer(name, copyOf(tensor), { persistent: persistent.has(name) });
  }

  override forward(input: Tensor): Tensor {
    if (this.compute === null) throw new TypeError("a part of a shadow doesn't compute by itself");
    return this.compute(input);
  }
}

class Shadows {
  readonly root: Shadow;
  readonly #dressed: Dressed;
  readonly #layers: LayerFactory;
  readonly #modules = new Map<nn.Module, nn.Module>();
  readonly #tensors = new Map<Tensor, Tensor>();

  constructor(dressed: Dressed, layers: LayerFactory) {
    this.#dressed = dressed;
    this.#layers = layers;
    this.root = this.#part(dressed.module);
    this.root.compute = (input) => this.#compute(input);
  }

  #shadow(original: nn.Module): nn.Module {
    const known = this.#modules.get(original);
    if (known !== undefined) return known;
    const made = original instanceof MaskedLayer ? this.#layer(original) : this.#part(original);
    this.#modules.set(original, made);
    return made;
  }

  #layer(original: MaskedLayer): nn.Module {
    if (original instanceof MaskedConv2d) return this.#layers.conv2d({ ...original.options, latent: null });
    const [outFeatures = 0, inFeatures = 0] = original.weight.shape;
    return this.#layers.linear({ inFeatures, outFeatures, bias: original.bias !== null });
  }

  #part(original: nn.Module): Shadow {
    const children = [...original.namedModules()].flatMap(([name, child]) =>
      name === "" || name.includes(".") ? [] : [[name, this.#shadow(child)] as const],
    );
    return new Shadow(original, children, (tensor) => {
      const copy = this.#tensors.get(tensor) ?? noGrad(() => tensor.clone());
      this.#tensors.set(tensor, copy);
      return copy;
    });
  }

  #compute(input: Tensor): Tensor {
    const { module, slots } = this.#dressed;
    const modes = [...module.namedModules()].map(([, part]) => [part, part.training] as const);
    const exchange = () => {
      for (const [own, copy] of this.#tensors) own.swap(copy);
    };
    exchange();
    for (const { layer, standIn } of slots) layer.standIn = this.#modules.get(standIn) ?? standIn;
    module.train(this.root.training);
    try {
      return module.forward(input);
    } finally {
      for (const [part, training] of modes) part.train(training);
      for (const { layer, standIn } of slots) layer.standIn = standIn;
      exchange();
    }
  }
}
