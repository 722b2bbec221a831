import { entryOf } from "@peekaboo/torch";
import { describe, expect, it } from "vitest";
import { HIDDEN_ACTS } from "../layers/latent-score.js";
import type { MaskedConv2d } from "../layers/masked-conv2d.js";
import { Network } from "../models/network.js";
import { activeScores } from "./active-scores.js";

describe("the weights that scores keep", () => {
  it.each(HIDDEN_ACTS)("%s: are those that the layer itself leaves above or below 0", (hiddenAct) => {
    const network = new Network({ arch: "SeedResNet20", numClasses: 10, width: 0.25, hiddenAct, hiddenDensity: 0.3 });
    network.initialise("kaiming_normal", 3);
    const state = new Map([...network.module.stateDict()].map(([name, tensor]) => [name, entryOf(tensor)]));
    for (const [name, layer] of network.prunable()) {
      const active = activeScores({ hiddenAct, hiddenDensity: 0.3 }, state, name);
      if (hiddenAct === "none") {
        expect(active).toBeNull();
        continue;
      }
      const effective = (layer as MaskedConv2d).effectiveWeight().detach().toFloat32Array();
      expect(active, name).toEqual(Uint8Array.from(effective, (value) => Number(value !== 0)));
      const share = (active ?? new Uint8Array()).reduce((sum, value) => sum + value, 0) / effective.length;
      if (hiddenAct === "edge-popup") expect(share).toBeCloseTo(0.3, 1);
    }
    network.dispose();
  });
});
