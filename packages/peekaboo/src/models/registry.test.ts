import { UserError } from "@peekaboo/torch/errors";
import { describe, expect, it } from "vitest";
import { architectureNames, findNetwork } from "./registry.js";

describe("architecture names", () => {
  it("are the seven CIFAR ResNets, plain and PSG", () => {
    expect([...architectureNames].sort()).toEqual(
      [18, 20, 34, 50, 101, 110, 152].flatMap((depth) => [`ResNet${depth}`, `PsgResNet${depth}`]).sort(),
    );
  });

  it("are case-sensitive, as the reference's are, and an unknown one is answered with the nearest", () => {
    expect(() => findNetwork("PsgResNet18")).not.toThrow();
    expect(() => findNetwork("resnet18")).toThrow(UserError);
    expect(() => findNetwork("resnet18")).toThrow('received "resnet18"; did you mean ResNet18?');
    expect(() => findNetwork("PsgResNet56")).toThrow("did you mean PsgResNet50?");
  });

  it("are all listed when none is near", () => {
    expect(() => findNetwork("Transformer")).toThrow("there are ResNet18, ResNet34");
  });
});
