import { RandomStream } from "@peekaboo/seed";
import { noGrad, scope, Tensor } from "@peekaboo/torch";
import { parseConfig } from "../config/config.js";
import { MaskedConv2d } from "../layers/masked-conv2d.js";
import { buildNetwork } from "../models/build.js";
import type { Network } from "../models/network.js";

const stream = new RandomStream(7, "networks.support");
let position = 0;
const random = () => stream.uint32(position++) / 2 ** 32;

/** Gives every prunable weight a mask and random signs, and BatchNorm statistics as after a training. */
export function disturb(network: Network, density = 0.3): void {
  scope(() => {
    const masks = new Map<string, Tensor>();
    for (const [name, layer] of network.prunable()) {
      const { weight } = layer;
      masks.set(
        name,
        Tensor.from(
          Uint8Array.from({ length: weight.numel }, () => (random() < density ? 1 : 0)),
          { shape: weight.shape },
        ),
      );
      // Where scores decide on signs, the weights below them stay as they began.
      if (!(layer instanceof MaskedConv2d) || layer.latent !== null) continue;
      const signs = Float32Array.from({ length: weight.numel }, () => (random() < 0.5 ? -1 : 1));
      weight.detach().mul_(Tensor.from(signs, { shape: weight.shape }));
    }
    network.setMasks(masks);
    for (const [name, tensor] of network.module.stateDict()) {
      const [low, high] = /running_var|bn\d?\.weight/.test(name) ? [0.5, 1.5] : [-0.3, 0.3];
      if (tensor.shape.length !== 1) continue;
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
