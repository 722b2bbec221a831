import { describe, expect, it } from "vitest";
import { nearest } from "./nearest.js";

describe("nearest", () => {
  it("finds the name with the fewest letters changed", () => {
    expect(nearest("ResNet19", ["ResNet20", "ResNet18", "ResNet110"])).toBe("ResNet18");
    expect(nearest("--epoch", ["--exp-name", "--epochs"])).toBe("--epochs");
  });

  it("takes upper and lower case and leading dashes as equal", () => {
    expect(nearest("PSGRESNET18", ["ResNet18", "PsgResNet18"])).toBe("PsgResNet18");
    expect(nearest("-lr", ["--ar", "--lr"])).toBe("--lr");
  });

  it("finds a name that contains the word, however long it is", () => {
    expect(nearest("--threshold", ["--milestones", "--psg-threshold"])).toBe("--psg-threshold");
  });

  it("advises nothing when every name is far away", () => {
    expect(nearest("VGG16", ["ResNet18", "ResNet20"])).toBeUndefined();
    expect(nearest("", ["a"])).toBeUndefined();
    expect(nearest("x", [])).toBeUndefined();
  });
});
