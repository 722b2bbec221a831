import { RandomStream } from "@peekaboo/seed";
import { noGrad, scope, Tensor } from "@peekaboo/torch";
import { parseConfig } from "../config/config.js";
import { MaskedConv2d } from "../layers/masked-conv2d.js";
import { buildNetwork } from "../models/build.js";
import type { Network } from "../models/network.js";

const stream = new RandomStream(7, "networks.support");
let position = 0;
const random = () => stream.uint32(position++) / 2 ** 32;

/**
 * Leaves a network as a training does: a mask for every prunable weight, random signs of what it keeps or random scores, and
 * BatchNorm statistics.
 */
export function disturb(network: Network, density = 0.3): void {
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

/** Two images [2, C, H, W] of a network's shape. */
export function twoImages([channels, height, width]: readonly [number, number, number]): Float32Array {
  return Float32Array.from({ length: 2 * channels * height * width }, (_, i) => Math.sin(i));
}

/** What libtorch makes of them. */
export function logits(network: Network): Float32Array {
  return scope(() =>
    noGrad(() => {
      network.module.eval();
      const images = Tensor.from(twoImages(network.imageShape), { shape: [2, ...network.imageShape] });
      return network.call(images).toFloat32Array();
    }),
  );
}

/** The greatest difference of two networks' logits, by the greatest of the expected ones. */
export function difference(actual: Float32Array, expected: Float32Array): number {
  const scale = Math.max(...expected.map(Math.abs));
  return Math.max(...expected.map((value, i) => Math.abs(value - (actual[i] ?? Number.NaN)))) / scale;
}

export const classes = Array.from({ length: 10 }, (_, i) => `class ${i}`);

/** Options by which each variant can be built. */
export function settingsOf(arch: string) {
  const seeded = /^Seed|^PsgSeed/.test(arch) ? { hiddenAct: "flipping" } : {};
  return { arch, width: 0.07, initMethod: "kaiming_normal", seed: 3, optimizer: "BOP", ...seeded } as const;
}

export function built(settings: object): { network: Network; config: ReturnType<typeof parseConfig> } {
  const config = parseConfig(settings);
  const { arch, width, hiddenAct, hiddenDensity, scalingInput, initMethod: init, seed } = config;
  const imageShape = /^[A-Z]/.test(arch) ? ([3, 32, 32] as const) : ([3, 64, 64] as const);
  const latent =
    hiddenAct === null ? {} : { hiddenAct, scalingInput, ...(hiddenDensity === null ? {} : { hiddenDensity }) };
  return { network: buildNetwork(arch, { width, init, seed, classes, imageShape, ...latent }), config };
}
