import { grad, keep, noGrad, ones, ops, type Tensor } from "@peekaboo/torch";
import { MaskedConv2d } from "../../layers/masked-conv2d.js";
import type { MaskedLayer } from "../../layers/masked-layer.js";
import { MaskedLinear } from "../../layers/masked-linear.js";
import type { Network } from "../../models/network.js";
import { pabOps } from "../../native/library.js";
import type { Pruner, ScoreContext, WeightFactors } from "../pruner.js";

/**
 * Synaptic flow (Tanaka et al. 2020, eq. 1): |∂R/∂w ⊙ w| with R the sum of the outputs for an all-ones image, every
 * state tensor replaced by its absolute value.
 */
export const synFlow: Pruner = {
  name: "SynFlow",
  needsData: false,
  rounds: 100,
  prepare: (network) =>
    noGrad(() => {
      for (const tensor of network.module.stateDict().values()) ops.abs_(tensor);
    }),
  derivatives,
  factors,
  score: (context) => {
    const scores = derivatives(context);
    const { scoreMagnitude_ } = pabOps();
    noGrad(() => {
      for (const [name, { weight }] of context.network.prunable()) {
        const gradient = scores.get(name);
        if (gradient !== undefined) scoreMagnitude_(gradient, weight);
      }
    });
    return scores;
  },
};

/** ∂R/∂w of each prunable weight, by state name. */
function derivatives({ network, imageShape }: ScoreContext): Map<string, Tensor> {
  const layers = [...network.prunable()];
  const weights = layers.map(([, { weight }]) => weight);
  const flow = flowOf(network, imageShape);
  const gradients = grad([flow], weights);
  return new Map(layers.map(([name], i) => [name, gradients[i] ?? flow]));
}

/** R, for an image of ones. */
function flowOf(network: Network, imageShape: readonly number[]): Tensor {
  const [first] = network.prunable().values();
  return network.call(ones([1, ...imageShape], { dtype: "float64", device: first?.weight.device ?? "cpu" })).sum();
}

function factors({ network, imageShape }: ScoreContext): Map<string, WeightFactors> | null {
  const layers = [...network.prunable()];
  if (layers.some(([, { weight }]) => weight.device !== "cpu")) return null;
  const probes = new Map(layers.map(([, layer]) => [layer, probeOf(layer)]));
  try {
    const flow = flowOf(network, imageShape);
    const all = layers.flatMap(([name, layer]) => {
      const heard = probes.get(layer);
      const own = heard?.calls === 1 ? factorsOf(layer, heard) : null;
      return own === null ? [] : [[name, own] as const];
    });
    if (all.length < layers.length) return null;
    const outputs = [...probes.values()].flatMap(({ output }) => output ?? []);
    const gradients = grad([flow], outputs);
    return new Map(all.map(([name, own], i) => [name, { ...own, gradient: gradients[i] ?? flow }]));
  } finally {
    for (const [layer, { input, output }] of probes) {
      layer.probe = null;
      input?.dispose();
      output?.dispose();
    }
  }
}

/** What a layer's probe has heard: its input and its output. */
interface Heard {
  calls: number;
  input: Tensor | null;
  output: Tensor | null;
}

function probeOf(layer: MaskedLayer): Heard {
  const heard: Heard = { calls: 0, input: null, output: null };
  layer.probe = (input, output) => {
    heard.calls++;
    if (heard.calls > 1) return output;
    heard.input = keep(input.detach());
    heard.output = keep(output);
    // A tensor of its own goes on, which may be changed in place.
    return output.add(0);
  };
  return heard;
}

/** What a layer's derivative is made of but for the gradient; null where it isn't a convolution without groups, or a product. */
function factorsOf(layer: MaskedLayer, { input, output }: Heard): Omit<WeightFactors, "gradient"> | null {
  if (input === null || output === null) return null;
  const factors = { input: input.detach(), weight: layer.weight.detach() };
  if (layer instanceof MaskedConv2d && layer.options.groups === 1) {
    const { stride, padding, dilation } = layer.options;
    return { ...factors, geometry: { stride, padding, dilation } };
  }
  return layer instanceof MaskedLinear && input.shape.length === 2 ? { ...factors, geometry: {} } : null;
}
