import { describe, expect, it } from "vitest";
import { parseConfig } from "./config.js";
import { toldSettings } from "./told-settings.js";

describe("the settings that a network is known by", () => {
  it("give the same settings again, but for what belongs to a machine", () => {
    const network = {
      arch: "PsgResNet18",
      width: 0.25,
      seed: 7,
      optimizer: "BOP",
      epochs: 3,
      bop: { ar: 0.01, tau: 0.00001 },
      pruning: { pruner: "SynFlow", density: 0.3, iterations: 100 },
    };
    const local = {
      savedir: "/home/somebody",
      expName: "x",
      sharePruning: "/home/somebody/prunings",
      threads: 3,
      dataFolder: "/data",
      workers: 2,
      device: "cpu",
      conv: "fast",
    };
    const told = toldSettings(parseConfig({ ...network, ...local }));
    expect(JSON.stringify(told)).not.toMatch(/somebody|dataFolder|threads|workers|device|conv/);
    expect(parseConfig(told)).toEqual(parseConfig(network));
  });

  it("tell nothing of a network that is as usual, and unpruned where it is", () => {
    expect(toldSettings(parseConfig({}))).toEqual({});
    expect(parseConfig(toldSettings(parseConfig({ pruning: null })))).toEqual(parseConfig({ pruning: null }));
  });

  it("tell an image folder's own name, not where it lies", () => {
    const config = parseConfig({ dataset: "imagefolder", data: "/home/somebody/pictures/", arch: "psg_resnet18" });
    expect(toldSettings(config)).toMatchObject({ dataset: "imagefolder", data: "pictures" });
    expect(parseConfig(toldSettings(config)).data).toBe("pictures");
  });
});
