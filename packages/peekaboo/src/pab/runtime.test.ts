// What runs a .pab file without libtorch computes what libtorch does.
import { createEngine } from "@peekaboo/runtime";
import { decodePab } from "@peekaboo/seed";
import { describe, expect, it } from "vitest";
import { architectureNames } from "../models/registry.js";
import { built, classes, difference, disturb, logits, settingsOf, twoImages } from "./networks.support.js";
import { encodeNetwork } from "./write-pab.js";

/** Logits of libtorch and of the runtime, for a network with random masks and signs. */
async function compared(settings: object) {
  const { network, config } = built(settings);
  try {
    disturb(network);
    const { bytes } = encodeNetwork({ network, config, name: "x", classes, test: null }, { float32: true });
    const { description, tensors } = decodePab(bytes);
    const engine = await createEngine({ ...description, tensors });
    return { expected: logits(network), actual: engine.run(twoImages(network.imageShape)) };
  } finally {
    network.dispose();
  }
}

describe("the runtime", () => {
  it.for([...architectureNames])("computes %s as libtorch does", async (arch) => {
    const { expected, actual } = await compared(settingsOf(arch));
    expect(Math.max(...expected.map(Math.abs))).toBeGreaterThan(0);
    expect(difference(actual, expected)).toBeLessThan(1e-4);
  });

  it.for(["pruning", "flipping", "ternary"])(
    "computes SeedResNet20 with %s scores and input scales",
    async (hiddenAct) => {
      const { expected, actual } = await compared({ ...settingsOf("SeedResNet20"), hiddenAct, scalingInput: true });
      expect(difference(actual, expected)).toBeLessThan(1e-4);
    },
  );
});
