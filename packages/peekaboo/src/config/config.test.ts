import { UserError } from "@peekaboo/files/errors";
import { describe, expect, it } from "vitest";
import {
  configFromFlags,
  notesOn,
  parseConfig,
  sharingFolder,
  type TrainConfig,
  wantedDevice,
  whyUnshared,
} from "./config.js";
import { trainOptions } from "./options.js";
import { optionsOf } from "./table.js";

/** The defaults of the reference's command line, and ours. */
const defaults: TrainConfig = {
  arch: "ResNet18",
  width: 1,
  initMethod: "standard",
  seed: 0,
  hiddenAct: null,
  hiddenDensity: null,
  scalingInput: false,
  dropout: 0,
  loadPretrained: null,
  dataset: "cifar10",
  data: null,
  dataFolder: null,
  trainLimit: null,
  testLimit: null,
  imageSize: 224,
  workers: null,
  onBadImage: "fail",
  grey: "rgb",
  epochs: 350,
  maxSteps: null,
  batchSize: 128,
  optimizer: "SGD",
  labelSmoothing: 0,
  bnBatches: 0,
  onNan: "stop",
  sgd: { lr: 0.1, momentum: 0.9, weightDecay: 5e-4, lrSchedule: "step", milestones: [80, 120], lrFinal: 0 },
  bop: {
    ar: 1e-3,
    tau: 1e-6,
    arSchedule: "step",
    arDecayFreq: 100,
    arDecayRatio: 0.1,
    arDecayWhen: "after",
    arFinal: 0,
    arLayers: [],
    tauLayers: [],
  },
  bop2: { sigma: 1e-3, eps: 1e-10, biasCorrection: false },
  psg: {
    backward: true,
    msbBits: 4,
    msbBitsWeight: 4,
    msbBitsGrad: 8,
    threshold: { mode: "relative", value: 0 },
    sparsify: false,
    takeSign: true,
  },
  pruning: null,
  distributed: {
    nprocPerNode: null,
    multiprocessing: false,
    worldSize: null,
    rank: null,
    url: null,
    backend: null,
    timeout: 300,
    startTimeout: null,
    maxRestarts: 0,
  },
  savedir: "results",
  expName: "Peek-a-Boo",
  sharePruning: null,
  resume: "auto",
  checkpointEvery: { seconds: 300 },
  keep: 2,
  evaluate: false,
  printFreq: null,
  device: null,
  useCuda: null,
  threads: null,
  conv: "fast",
  json: false,
  log: [],
};

const synflow = {
  pruner: "SynFlow",
  density: 0.3,
  epoch: 0,
  shots: 1,
  iterations: 100,
  schedule: "exponential",
  scope: "global",
  minKept: null,
  maskShuffle: false,
  batchSize: 256,
  verbose: false,
};

/** The error that reading `json` gives, which must be the user's. */
function refusal(json: unknown): string {
  try {
    parseConfig(json);
  } catch (error) {
    expect(error).toBeInstanceOf(UserError);
    return (error as UserError).message;
  }
  throw new Error("the configuration was accepted");
}

describe("parseConfig", () => {
  it("gives what is absent its default", () => {
    expect(parseConfig({})).toEqual(defaults);
    expect(parseConfig({ psg: { threshold: { value: 1e-7 } } }).psg).toEqual({
      ...defaults.psg,
      threshold: { mode: "relative", value: 1e-7 },
    });
  });

  it("reads back every configuration it wrote", () => {
    const config = parseConfig({ arch: "PsgResNet20", pruning: synflow, maxSteps: 7, sgd: { milestones: [3] } });
    expect(config.pruning).toEqual(synflow);
    const { pruner, density, iterations, batchSize } = synflow;
    expect(parseConfig({ pruning: { pruner, density, iterations, batchSize } }).pruning).toEqual(synflow);
    expect(parseConfig(JSON.parse(JSON.stringify(config)))).toEqual(config);
    expect(parseConfig(JSON.parse(JSON.stringify(defaults)))).toEqual(defaults);
  });

  it("has no pruning without a pruner", () => {
    expect(parseConfig({ pruning: null }).pruning).toBeNull();
    expect(parseConfig({ pruning: { density: 0.5 } }).pruning).toBeNull();
  });

  it.each([
    [{ density: 0.5 }, "density", "an unknown one"],
    [{ pruning: { densty: 0.5 } }, "pruning.densty", "did you mean pruning.density?"],
    [{ pruning: { pruner: "SynFlow", density: 0 } }, "above 0 and at most 1 for pruning.density, received 0", ""],
    [{ bop: { tau: -1 } }, "bop.tau", "received -1"],
    [{ bop: { ar: 1 } }, "bop.ar", "above 0 and below 1"],
    [{ bop: { arLayers: [{ pattern: "*", value: 1 }] } }, "bop.arLayers", "above 0 and below 1"],
    [{ bop: { tauLayers: [{ pattern: "*", value: -1 }] } }, "bop.tauLayers", "of at least 0"],
    [{ bop2: { sigma: 1 } }, "bop2.sigma", "above 0 and below 1"],
    [{ bop2: { eps: 0 } }, "bop2.eps", "a number above 0"],
    [{ psg: { msbBits: 4.5 } }, "psg.msbBits", "an integer from 1 to 32"],
    [{ epochs: "350" }, "epochs", 'received "350"'],
    [{ epochs: null }, "epochs", "received null"],
    [{ sgd: null }, "an object for sgd", "received null"],
    [{ psg: { threshold: 1e-7 } }, "an object for psg.threshold", "received 1e-7"],
    [[], "an object for the configuration", "received []"],
    [undefined, "an object for the configuration", "received nothing"],
    ["x".repeat(500), "an object for the configuration", `received "${"x".repeat(79)}…`],
  ])("refuses %j, saying where and why", (json, ...words) => {
    const message = refusal(json);
    for (const word of words) expect(message).toContain(word);
  });

  it("takes no name from the prototype for a setting", () => {
    expect(refusal({ constructor: 1 })).toContain("constructor");
    expect(refusal(JSON.parse('{"__proto__": {"epochs": 3}}'))).toContain("__proto__");
  });
});

describe("what doesn't go together", () => {
  it("is pruning that would come after the last epoch", () => {
    expect(refusal({ epochs: 5, pruning: { ...synflow, epoch: 5 } })).toContain("`pruning.epoch`");
    expect(parseConfig({ epochs: 5, pruning: { ...synflow, epoch: 4 } }).pruning?.epoch).toBe(4);
    expect(parseConfig({ epochs: 5, pruning: { epoch: 9 } }).pruning).toBeNull();
  });

  it("is more shots than epochs to spread them over", () => {
    expect(refusal({ pruning: { ...synflow, epoch: 2, shots: 3 } })).toContain("`pruning.shots`");
    expect(refusal({ pruning: { ...synflow, shots: 2 } })).toContain("`pruning.epoch` 2 or more");
    expect(parseConfig({ pruning: { ...synflow, epoch: 3, shots: 3 } }).pruning?.shots).toBe(3);
  });

  it("is a pruner that divides the layers itself, and local scope", () => {
    const local = { ...synflow, scope: "local" };
    expect(refusal({ pruning: { ...local, pruner: "ERK" } })).toContain("`pruning.scope`");
    expect(parseConfig({ pruning: { ...local, pruner: "Rand" } }).pruning?.scope).toBe("local");
    for (const scope of ["global", "erk"] as const) {
      expect(parseConfig({ pruning: { ...synflow, scope, pruner: "ERK" } }).pruning).toMatchObject({
        pruner: "ERK",
        scope,
      });
      expect(parseConfig({ pruning: { ...synflow, scope } }).pruning?.scope).toBe(scope);
    }
  });

  it("is a relative threshold above the maximum itself", () => {
    expect(refusal({ psg: { threshold: { value: 1.5 } } })).toContain("`psg.threshold.mode` absolute");
    expect(parseConfig({ psg: { threshold: { value: 1.5, mode: "absolute" } } }).psg.threshold.value).toBe(1.5);
  });

  it("is a layer's own γ that a rising schedule would take to 1", () => {
    const bop = { ar: 1e-3, arFinal: 1e-2, arSchedule: "linear", arLayers: [{ pattern: "layer1.*", value: 0.1 }] };
    expect(refusal({ bop })).toContain("for `bop.arLayers`, received layer1.*=0.1; lower it, or `bop.arFinal`");
    expect(parseConfig({ bop: { ...bop, arSchedule: "step" } }).bop.arLayers).toEqual(bop.arLayers);
    expect(parseConfig({ bop: { ...bop, arFinal: 9e-3 } }).bop.arFinal).toBe(9e-3);
  });

  it("is an architecture that doesn't exist", () => {
    expect(refusal({ arch: "PsgResNet19" })).toContain("did you mean PsgResNet18?");
  });
});

describe("the option table", () => {
  it("gives no flag to two options", () => {
    const flags = optionsOf(trainOptions).flatMap((option) => option.flags.match(/(?<![\w-])-{1,2}[\w-]+/g) ?? []);
    expect(flags).toHaveLength(new Set(flags).size);
    expect(flags).toContain("--batch-size");
    expect(flags).toContain("-r");
  });

  it("has defaults that its own validation accepts", () => {
    for (const option of optionsOf(trainOptions)) {
      expect(option.kind.fromJson(option.default), option.flags).toEqual(option.default);
      if (option.bare !== undefined) expect(option.kind.fromJson(option.bare), option.flags).toBe(option.bare);
    }
  });
});

describe("wantedDevice", () => {
  it("requires what --device names and prefers what --use-cuda names", () => {
    expect(wantedDevice({ device: null, useCuda: null })).toEqual({ name: "cpu", required: true });
    expect(wantedDevice({ device: null, useCuda: 1 })).toEqual({ name: "cuda:1", required: false });
    expect(wantedDevice({ device: "cuda:0", useCuda: null })).toEqual({ name: "cuda:0", required: true });
    expect(wantedDevice({ device: "cpu", useCuda: 1 })).toEqual({ name: "cpu", required: true });
  });
});

describe("notesOn", () => {
  const { pruning, bop, bop2, psg } = trainOptions;

  it("names the given flags that change nothing, and why", () => {
    const given = new Map<(typeof pruning)["density"] | (typeof psg)["msbBits"], unknown>([
      [pruning.density, 0.5],
      [pruning.iterations, 3],
      [bop.tau, 1e-5],
      [bop2.sigma, 1e-2],
      [psg.msbBits, 8],
    ]);
    expect(notesOn(configFromFlags(given), given)).toEqual([
      "--prune-ratio, --prune-iters: no effect, since without `pruning.pruner` nothing is pruned.",
      "--tau: no effect, since the optimiser is SGD, not BOP.",
      "--bop2-sigma: no effect, since the optimiser is SGD, not BOP2.",
      "--msb-bits: no effect, since ResNet18 is not a PSG network.",
    ]);
  });

  it.each([
    [{}, "without `pruning.pruner` nothing is pruned"],
    [{ pruning: { ...synflow, epoch: 2 } }, "only a pruning before the first step is shared"],
    [{ pruning: synflow, arch: "./own.mjs" }, "what a file of your own builds may change"],
    [{ pruning: synflow, device: "cuda:0" }, "only what the CPU computes is shared"],
  ])("tells why a pruning isn't shared: %j", (settings, why) => {
    const config = parseConfig({ ...settings, sharePruning: "prunings" });
    expect(whyUnshared(config)).toBe(why);
    expect(sharingFolder(config)).toBeNull();
  });

  it("says nothing of flags in use", () => {
    const given = new Map<object, unknown>();
    expect(notesOn(defaults, given as Parameters<typeof notesOn>[1])).toEqual([]);
    const used = new Map([[pruning.density, 0.5]]);
    expect(notesOn(parseConfig({ pruning: synflow }), used)).toEqual([]);
    const both = new Map<(typeof bop)["tau"], unknown>([
      [bop.tau, 0.1],
      [bop2.sigma, 1e-2],
    ]);
    expect(notesOn(parseConfig({ optimizer: "BOP2" }), both)).toEqual([]);
    expect(notesOn(parseConfig({ optimizer: "BOP2" }), new Map())).toEqual([
      "`bop.tau`: its default is BOP's; BOP2 compares a ratio with it, for which 0.1 is a start.",
    ]);
    expect(notesOn(parseConfig({ optimizer: "BOP" }), both)).toEqual([
      "--bop2-sigma: no effect, since the optimiser is BOP, not BOP2.",
    ]);
  });
});
