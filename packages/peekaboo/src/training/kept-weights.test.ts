import { Tensor } from "@peekaboo/torch";
import { expect, it } from "vitest";
import { Network } from "../models/network.js";
import { keptWeights } from "./kept-weights.js";

/** A mask of a 3×3 kernel's size, of which so many weights are kept. */
function maskOf(shape: readonly number[], kept: number): Tensor {
  const total = shape.reduce((product, size) => product * size, 1);
  return Tensor.from(
    Uint8Array.from({ length: total }, (_, i) => (i < kept ? 1 : 0)),
    { shape: [...shape] },
  );
}

it("what Bop may flip is what the masks keep, or all where there is none", () => {
  const network = new Network({ arch: "ResNet20", numClasses: 10, width: 0.25 });
  const [first = "", second = ""] = network.bopParameters().keys();
  network.setMasks(new Map([[second, maskOf(network.bopParameters().get(second)?.shape ?? [], 7)]]));
  const kept = keptWeights(network);
  expect([first, kept.get(first)]).toEqual(["conv1.weight", 4 * 3 * 9]);
  expect(kept.get(second)).toBe(7);
  expect([...kept.keys()]).toEqual([...network.bopParameters().keys()]);
  network.dispose();
});

it("a latent score may flip where its weight is kept", () => {
  const network = new Network({ arch: "SeedResNet20", numClasses: 10, width: 0.25, hiddenAct: "flipping" });
  const [first = ""] = network.prunable().keys();
  network.setMasks(new Map([[first, maskOf(network.prunable().get(first)?.weight.shape ?? [], 5)]]));
  expect(keptWeights(network).get(first.replace(/weight$/, "t"))).toBe(5);
  network.dispose();
});
