import { type Description, encodePab } from "@peekaboo/seed";
import { describe, expect, it } from "vitest";
import { load } from "./predictor.js";

/** A network without weights that keeps every `side`-th pixel. */
function pixels(side: number): Description {
  return {
    network: "x",
    mean: [0.5],
    std: [0.25],
    crop: 1,
    classes: ["only"],
    seed: 0,
    init: "kaiming_normal",
    graph: {
      input: [1, side, side],
      nodes: [
        { op: "relu", inputs: [0] },
        { op: "subsample", inputs: [1], stride: [side, side], before: 0, after: 0 },
      ],
    },
    tensors: [],
    test: null,
    provenance: {},
  };
}

describe("load", () => {
  it("takes no more memory than a file of that length may ask for", async () => {
    const network = await load(encodePab(pixels(64), new Map()));
    expect(network.engine.classes).toBe(1);
    const large = encodePab(pixels(8192), new Map());
    expect(large.length).toBeLessThan(300);
    await expect(load(large)).rejects.toThrow("expected at most 65 MiB for its memory, received 5");
  });
});
