import { liveTensorCount } from "@peekaboo/torch";
import { expect, it } from "vitest";
import { measureNetwork } from "./measure.js";

/** Parameters and multiply-accumulates as torchvision's documentation gives them (GFLOPS of its model tables). */
const TORCHVISION = [
  ["resnet18", 11_689_512, 1.81],
  ["resnet50", 25_557_032, 4.09],
  ["resnext50_32x4d", 25_028_904, 4.23],
  ["wide_resnet50_2", 68_883_240, 11.4],
] as const;

it.each(TORCHVISION)("%s has the parameters and multiply-accumulates of torchvision's", (arch, parameters, giga) => {
  const size = measureNetwork({ arch, numClasses: 1000 });
  expect(size.parameters).toBe(parameters);
  expect(size.macs / 1e9).toBeCloseTo(giga, 1);
  expect(liveTensorCount()).toBe(0);
});

it("counts a layer's multiply-accumulates by hand: Conv4 on 8×8 images", () => {
  const { layers, prunable, macs } = measureNetwork({ arch: "Conv4", numClasses: 10, imageShape: [1, 8, 8] });
  expect(layers.map((layer) => layer.macs)).toEqual([
    64 * 1 * 9 * 64,
    64 * 64 * 9 * 64,
    128 * 64 * 9 * 16,
    128 * 128 * 9 * 16,
    256 * 512,
    256 * 256,
    10 * 256,
  ]);
  expect(macs).toBe(layers.reduce((sum, layer) => sum + layer.macs, 0));
  expect(prunable).toBe(64 * 9 + 64 * 64 * 9 + 128 * 64 * 9 + 128 * 128 * 9 + 256 * 512 + 256 * 256 + 2560);
});
