import type { Pruner } from "../pruner.js";

/** |w|, of the weights that are still there (Han et al. 2015). */
export const magnitude: Pruner = {
  name: "Mag",
  needsData: false,
  score: ({ network }) =>
    new Map([...network.prunable()].map(([name, layer]) => [name, layer.effectiveWeight().detach().abs()])),
};
