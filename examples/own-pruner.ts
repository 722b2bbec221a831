// A pruner of your own: a score for every prunable weight; the largest stay. Masks, rounds and density are the loop's.
import { scope } from "@peekaboo/torch";
import { buildNetwork, type Pruner, prune, pruners } from "peekaboo";

/** |w| in units of its layer's root mean square, so that layers of small weights aren't emptied. */
const layerMagnitude: Pruner = {
  name: "LayerMag",
  needsData: false,
  score({ network }) {
    return new Map(
      [...network.prunable()].map(([name, layer]) => {
        const weight = layer.effectiveWeight().detach();
        return [name, weight.abs().div_(scope(() => weight.square().mean().sqrt().item()))] as const;
      }),
    );
  },
};

for (const pruner of [layerMagnitude, pruners.magnitude]) {
  const network = buildNetwork("PsgResNet20", { width: 0.25 });
  const { kept, layers } = await prune(network, { pruner, density: 0.05 });
  const thinnest = Math.min(...layers.map((layer) => layer.kept / layer.total));
  console.log(`${pruner.name}: ${kept} weights stay, ${(100 * thinnest).toFixed(2)} % of the layer that keeps least`);
  network.dispose();
}
