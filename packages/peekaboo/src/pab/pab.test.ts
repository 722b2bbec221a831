import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { RandomStream } from "@peekaboo/seed";
import { entryOf, liveTensorCount, noGrad, scope, Tensor } from "@peekaboo/torch";
import { beforeEach, describe, expect } from "vitest";
import { it } from "../../../../tests/support/folder.js";
import { parseConfig } from "../config/config.js";
import { MaskedConv2d } from "../layers/masked-conv2d.js";
import { buildNetwork } from "../models/build.js";
import type { Network } from "../models/network.js";
import { architectureNames } from "../models/registry.js";
import { networkOfPab } from "./network-of-pab.js";
import { encodeNetwork } from "./write-pab.js";

let before = 0;
beforeEach(() => {
  before = liveTensorCount();
});

const stream = new RandomStream(7, "pab.test");
let position = 0;
const random = () => stream.uint32(position++) / 2 ** 32;

/**
 * Leaves a network as a training does: a mask for every prunable weight, random signs of what it keeps or random scores, and
 * BatchNorm statistics.
 */
function disturb(network: Network, density = 0.3): void {
  scope(() => {
    const masks = new Map<string, Tensor>();
    for (const [name, layer] of network.prunable()) {
      const { weight } = layer;
      const kept = Uint8Array.from({ length: weight.numel }, () => (random() < density ? 1 : 0));
      masks.set(name, Tensor.from(kept, { shape: weight.shape }));
      if (weight.shape.length !== 4) continue;
      const score = layer instanceof MaskedConv2d ? layer.latent?.parameters.get("t") : undefined;
      const values = (of: (i: number) => number) =>
        Tensor.from(
          Float32Array.from(kept, (_, i) => of(i)),
          { shape: weight.shape },
        );
      if (score !== undefined) score.detach().copy_(values(() => random() - 0.5));
      else if (network.variant !== "seed")
        weight.detach().mul_(values((i) => (kept[i] === 1 && random() < 0.5 ? -1 : 1)));
    }
    network.setMasks(masks);
    for (const [name, tensor] of network.module.stateDict()) {
      const [low, high] = /running_var|bn\d?\.weight|scale$/.test(name) ? [0.5, 1.5] : [-0.3, 0.3];
      if (tensor.shape.length !== 1 && !name.endsWith(".scale")) continue;
      if (/\.(lo|hi)$/.test(name)) continue;
      const values = Float32Array.from({ length: tensor.numel }, () => low + random() * (high - low));
      tensor.detach().copy_(Tensor.from(values, { shape: tensor.shape }));
    }
  });
}

function logits(network: Network): Float32Array {
  return scope(() =>
    noGrad(() => {
      network.module.eval();
      const [channels, height, width] = network.imageShape;
      const values = Float32Array.from({ length: 2 * channels * height * width }, (_, i) => Math.sin(i));
      return network.call(Tensor.from(values, { shape: [2, channels, height, width] })).toFloat32Array();
    }),
  );
}

const classes = Array.from({ length: 10 }, (_, i) => `class ${i}`);

/** Options by which each variant can be built. */
function settingsOf(arch: string) {
  const seeded = /^Seed|^PsgSeed/.test(arch) ? { hiddenAct: "flipping" } : {};
  return { arch, width: 0.07, initMethod: "kaiming_normal", seed: 3, optimizer: "BOP", ...seeded } as const;
}

function built(settings: object): { network: Network; config: ReturnType<typeof parseConfig> } {
  const config = parseConfig(settings);
  const { arch, width, hiddenAct, hiddenDensity, scalingInput, initMethod: init, seed } = config;
  const imageShape = /^[A-Z]/.test(arch) ? ([3, 32, 32] as const) : ([3, 64, 64] as const);
  const latent =
    hiddenAct === null ? {} : { hiddenAct, scalingInput, ...(hiddenDensity === null ? {} : { hiddenDensity }) };
  return { network: buildNetwork(arch, { width, init, seed, classes, imageShape, ...latent }), config };
}

/** A tensor's bytes; in a Seed network without the signs of zeros, since the scores of cut weights aren't stored. */
function bytesOf(tensor: Tensor, { variant }: Network): Uint8Array {
  if (!variant.endsWith("seed")) return entryOf(tensor).data;
  return new Uint8Array(tensor.toFloat32Array().map((value) => value + 0).buffer);
}

function roundTrip(settings: object, folder: string) {
  const { network, config } = built(settings);
  const path = join(folder, "x.pab");
  try {
    disturb(network);
    const { bytes, stored } = encodeNetwork({ network, config, name: "x", classes, test: null }, { float32: true });
    writeFileSync(path, bytes);
    const again = networkOfPab("test", path).network;
    // As one checksum: a matcher would compare a million numbers one by one.
    const effective = (of: Network) => {
      const hash = createHash("sha256");
      scope(() => {
        for (const [name, tensor] of of.effectiveState())
          if (tensor.shape.length === 4) hash.update(`${name} ${tensor.shape}`).update(bytesOf(tensor, of));
      });
      return hash.digest("hex");
    };
    try {
      return {
        stored,
        bytes,
        before: logits(network),
        after: logits(again),
        weights: effective(network),
        same: effective(again),
      };
    } finally {
      again.dispose();
    }
  } finally {
    network.dispose();
  }
}

describe("a network, written and read again", () => {
  it.for([...architectureNames])("%s computes the same, with convolutions equal in every bit", (arch, { folder }) => {
    const { stored, before: expected, after, weights, same } = roundTrip(settingsOf(arch), folder);
    expect(stored).toEqual([]);
    expect(same).toEqual(weights);
    const scale = Math.max(...expected.map(Math.abs));
    expect(scale).toBeGreaterThan(0);
    expect(Math.max(...expected.map((value, i) => Math.abs(value - (after[i] ?? Number.NaN)))) / scale).toBeLessThan(
      1e-5,
    );
    expect(liveTensorCount()).toBe(before);
  });

  it.for(["pruning", "flipping", "ternary", "none", "edge-popup"])(
    "SeedResNet20 with %s scores and input scales",
    (hiddenAct, { folder }) => {
      const settings = {
        ...settingsOf("SeedResNet20"),
        hiddenAct,
        scalingInput: true,
        ...(hiddenAct === "edge-popup" ? { hiddenDensity: 0.4 } : {}),
      };
      const { stored, before: expected, after } = roundTrip(settings, folder);
      expect(stored).toEqual([]);
      const scale = Math.max(...expected.map(Math.abs));
      expect(Math.max(...expected.map((value, i) => Math.abs(value - (after[i] ?? Number.NaN)))) / scale).toBeLessThan(
        1e-5,
      );
    },
  );
});
