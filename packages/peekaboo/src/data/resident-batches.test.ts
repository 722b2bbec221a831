import { ops, type Tensor } from "@peekaboo/torch";
import { afterEach, describe, expect, it } from "vitest";
import type { Batch } from "./batch.js";
import { augmentation } from "./order.js";

import { Batches, type BatchesOptions } from "./resident-batches.js";

const SIDE = 3;
const open: Batches[] = [];
afterEach(() => {
  for (const batches of open.splice(0)) batches.dispose();
});

/** Four images of 3×3 whose bytes count up, with the given channels, mean 0 and standard deviation 1. */
function batchesOf(channels: number, options: Partial<BatchesOptions> = {}, rule = { padding: 1, flip: true }) {
  const split = {
    count: 4,
    height: SIDE,
    width: SIDE,
    channels,
    images: Uint8Array.from({ length: 4 * SIDE * SIDE * channels }, (_, i) => i),
    labels: Uint8Array.of(3, 1, 2, 0),
  };
  const unit = (value: number) => Array<number>(channels).fill(value);
  const statistics = { mean: unit(0), std: unit(1), augmentation: rule };
  const batches = new Batches(statistics, split, { device: "cpu", limit: null, grey: "rgb", ...options });
  open.push(batches);
  return batches;
}

/** The bytes of an image in the batch, one array a channel. */
function bytesOf(input: Tensor, image: number): number[][] {
  const [, channels = 0] = input.shape;
  const values = input.toFloat32Array();
  const plane = SIDE * SIDE;
  return Array.from({ length: channels }, (_, channel) => {
    const start = (image * channels + channel) * plane;
    return [...values.subarray(start, start + plane)].map((value) => Math.round(value * 255));
  });
}

/** What a crop and perhaps a flip make of a plane of pixels. */
function moved(plane: readonly number[], dy: number, dx: number, flip: boolean, padding: number): number[] {
  return plane.map((_, i) => {
    const y = Math.floor(i / SIDE) + dy - padding;
    const column = i % SIDE;
    const x = (flip ? SIDE - 1 - column : column) + dx - padding;
    return y < 0 || y >= SIDE || x < 0 || x >= SIDE ? 0 : (plane[y * SIDE + x] ?? 0);
  });
}

/** The one batch of a pass. */
async function only(pass: AsyncIterable<Batch>): Promise<Batch> {
  const batches: Batch[] = [];
  for await (const batch of pass) batches.push(batch);
  const [batch] = batches;
  if (batch === undefined || batches.length > 1) throw new Error(`expected one batch, received ${batches.length}`);
  return batch;
}

const second = [9, 10, 11, 12, 13, 14, 15, 16, 17];
const all = Int32Array.of(0, 1, 2, 3);

describe("grey images", () => {
  it("are given to the network three times over, channels last in memory", async () => {
    const batches = batchesOf(1);
    expect(batches.imageShape).toEqual([3, SIDE, SIDE]);
    const { input, target } = await only(batches.plain(2, Int32Array.of(2, 1)));
    expect(input.shape).toEqual([2, 3, SIDE, SIDE]);
    expect(bytesOf(input, 1)).toEqual([second, second, second]);
    expect(target.toArray()).toEqual([2, 1]);
    // A view exists only of what lies in this order in memory.
    expect(input.permute(0, 2, 3, 1).view(2, -1).shape).toEqual([2, 27]);
    expect(() => input.view(2, -1)).toThrow();
  });

  it("keep their one channel on demand", async () => {
    const batches = batchesOf(1, { grey: "single" });
    expect(batches.imageShape).toEqual([1, SIDE, SIDE]);
    expect(bytesOf((await only(batches.plain(1, Int32Array.of(1)))).input, 0)).toEqual([second]);
  });

  it("are the same picture in either way, augmented or not", async () => {
    const [rgb, single] = [batchesOf(1), batchesOf(1, { grey: "single" })];
    const [three, one] = [await only(rgb.training(all, 4, 7, 2)), await only(single.training(all, 4, 7, 2))];
    expect(ops.equal(three.input, one.input.expand(-1, 3, SIDE, SIDE))).toBe(true);
  });

  it("are normalised by their one mean and deviation before they are repeated", async () => {
    const split = { count: 1, height: 1, width: 1, channels: 1, images: Uint8Array.of(51), labels: Uint8Array.of(0) };
    const statistics = { mean: [0.5], std: [0.25], augmentation: { padding: 4, flip: false } };
    const batches = new Batches(statistics, split, { device: "cpu", limit: null, grey: "rgb" });
    open.push(batches);
    const values = (await only(batches.plain(1, Int32Array.of(0)))).input.toFloat32Array();
    expect([...values].map((value) => value.toFixed(5))).toEqual(["-1.20000", "-1.20000", "-1.20000"]);
  });
});

describe("colour images", () => {
  it.each(["rgb", "single"] as const)("keep their channels with %s", async (grey) => {
    const batches = batchesOf(3, { grey, limit: 2 });
    expect([batches.count, batches.imageShape]).toEqual([2, [3, SIDE, SIDE]]);
    expect(bytesOf((await only(batches.plain(1, Int32Array.of(0)))).input, 0)[1]).toEqual([
      1, 4, 7, 10, 13, 16, 19, 22, 25,
    ]);
  });
});

describe("training batches", () => {
  it.each([
    { padding: 1, flip: true },
    { padding: 1, flip: false },
    { padding: 2, flip: false },
    { padding: 0, flip: true },
  ])("do to an image what suits the data set: %j", async (rule) => {
    const batches = batchesOf(1, { grey: "single" }, rule);
    const { dy, dx, flip } = augmentation(7, 2, all, rule.padding);
    // The seed gives flips and none among the four, so that to ignore the rule would show.
    expect(new Set(flip)).toEqual(new Set([0, 1]));
    const { input } = await only(batches.training(all, 4, 7, 2));
    for (const image of all) {
      const plane = Array.from({ length: SIDE * SIDE }, (_, i) => image * SIDE * SIDE + i);
      const flipped = rule.flip && flip[image] === 1;
      const expected = moved(plane, dy[image] ?? 0, dx[image] ?? 0, flipped, rule.padding);
      expect(bytesOf(input, image), `image ${image}`).toEqual([expected]);
    }
  });

  it("come in the order asked for, the last one short", async () => {
    const batches = batchesOf(1);
    const targets: unknown[] = [];
    for await (const { target } of batches.training(Int32Array.of(3, 0, 2), 2, 1, 0)) targets.push(target.toArray());
    expect(targets).toEqual([[0, 3], [2]]);
  });
});
