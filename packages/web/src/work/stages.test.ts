import { readFileSync } from "node:fs";
import { load } from "@peekaboo/runtime";
import { initialiseWeight } from "@peekaboo/seed";
import { describe, expect, it } from "vitest";
import { Growth, grow } from "./stages.js";

const start = Float32Array.of(1, -2, 3, -4);
const final = Float32Array.of(-1, 0, 3, 4);
const mask = Uint8Array.of(1, 0, 1, 1);

describe("a layer that grows", () => {
  it("begins as the seed gave it", () => {
    const grown = grow(start, final, mask, { masked: 0, signed: 0 });
    expect(grown).toEqual({ data: start, cut: 0, turned: 0 });
  });

  it("loses what its mask cuts, and keeps the signs of the rest", () => {
    const grown = grow(start, final, mask, { masked: 1, signed: 0 });
    expect(grown).toEqual({ data: Float32Array.of(1, 0, 3, -4), cut: 1, turned: 0 });
  });

  it("ends as the file has it", () => {
    const grown = grow(start, final, mask, { masked: 1, signed: 1 });
    expect(grown).toEqual({ data: final, cut: 1, turned: 2 });
  });

  it("changes about half of its weights at half of a stage, and none back", () => {
    const ones = new Float32Array(10_000).fill(1);
    const turnedAt = (signed: number) =>
      grow(
        ones,
        ones.map((one) => -one),
        null,
        { masked: 1, signed },
      );
    expect(turnedAt(0.5).turned).toBeGreaterThan(4900);
    expect(turnedAt(0.5).turned).toBeLessThan(5100);
    const [some, more] = [turnedAt(0.5).data, turnedAt(0.6).data];
    expect(some.every((value, i) => value === 1 || more[i] === -1)).toBe(true);
  });
});

describe("a network that grows", async () => {
  const file = new URL("../../../../models/cifar10-demo.pab", import.meta.url);
  const { network, description } = await load(new Uint8Array(readFileSync(file)));
  const growth = new Growth(network);

  it("has the seed's weights at first, and trained scales", () => {
    const { tensors, cut, turned } = growth.at({ masked: 0, signed: 0 });
    const first = initialiseWeight("kaiming_normal", description.seed, "conv1.weight", [16, 3, 3, 3]);
    expect(tensors.get("conv1.weight")?.data).toEqual(first);
    expect(tensors.get("bn1.scale")?.data).toEqual(network.tensors.get("bn1.scale")?.data);
    expect([cut, turned]).toEqual([0, 0]);
  });

  it("has the file's in the end, every one", () => {
    const { tensors, cut, total } = growth.at({ masked: 1, signed: 1 });
    for (const [name, { data }] of network.tensors)
      expect(
        data.every((value, i) => value === tensors.get(name)?.data[i]),
        name,
      ).toBe(true);
    expect([total, total - cut]).toEqual([697_776, 209_333]);
  });
});
