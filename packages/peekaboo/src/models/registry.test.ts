import { UserError } from "@peekaboo/files/errors";
import { describe, expect, it } from "vitest";
import { architectureNames, findNetwork } from "./registry.js";

describe("architecture names", () => {
  it("are the original's: for CIFAR each in four variants, for ImageNet in two", () => {
    const cifar = [18, 20, 34, 50, 101, 110, 152].map((depth) => `ResNet${depth}`);
    cifar.push("WideResNet28_10", "VGG11", "VGG13", "VGG16", "VGG19", "Conv4", "Conv6");
    const imageNet = [18, 34, 50, 101, 152].map((depth) => `resnet${depth}`);
    imageNet.push("resnext50_32x4d", "resnext101_32x8d", "wide_resnet50_2", "wide_resnet101_2");
    const expected = [
      ...cifar.flatMap((name) => ["", "Psg", "Seed", "PsgSeed"].map((prefix) => `${prefix}${name}`)),
      ...imageNet.flatMap((name) => [name, `psg_${name}`]),
    ];
    expect([...architectureNames].sort()).toEqual(expected.sort());
  });

  it("are case-sensitive, as the original's are, and an unknown one is answered with the nearest", () => {
    expect(findNetwork("resnet18").architecture.numClasses).toBe(1000);
    expect(findNetwork("ResNet18").architecture.numClasses).toBe(10);
    expect(() => findNetwork("resnet19")).toThrow(UserError);
    expect(() => findNetwork("PsgResNet56")).toThrow("did you mean PsgResNet50?");
    expect(() => findNetwork("psg_resnet5O")).toThrow("did you mean psg_resnet50?");
  });

  it("are where `peekaboo models` tells when none is near", () => {
    expect(() => findNetwork("Transformer")).toThrow("`peekaboo models` lists them");
  });
});
