import { quoted, UserError } from "@peekaboo/files/errors";
import { type Description, encodePab, type TestResult } from "@peekaboo/seed";
import type { Config, TrainConfig } from "../config/config.js";
import { IMAGE_FOLDER } from "../config/options.js";
import { toldSettings } from "../config/told-settings.js";
import { IMAGENET, normalisationOf } from "../data/normalisation.js";
import type { Network } from "../models/network.js";
import { portableName } from "../models/own-reference.js";
import { setting } from "../setting.js";
import { version } from "../version.js";
import { pabOf } from "./pab-of.js";

/** A trained network, and what is known of it. */
export interface PabSource {
  readonly network: Network;
  readonly config: TrainConfig;
  /** Where it comes from, for messages. */
  readonly name: string;
  readonly classes: readonly string[];
  readonly test: TestResult | null;
  /** What its images are known by. */
  readonly checksums?: Readonly<Record<string, string>>;
  readonly license?: string | null;
}

/** A file's bytes. */
export interface EncodedPab {
  readonly bytes: Uint8Array;
  /** The convolutions whose weights don't follow from the seed: they were stored. */
  readonly stored: readonly string[];
}

/**
 * The bytes of a network's .pab file.
 * @throws {UserError} for weights that SGD trained, for others that no seed gives where only such are asked for, and for operations
 * that the format doesn't have.
 */
export function encodeNetwork(
  source: PabSource,
  { float32 = false, seedOnly = false }: { float32?: boolean; seedOnly?: boolean } = {},
): EncodedPab {
  const { network, config, name } = source;
  const contents = pabOf(network, {
    seed: config.seed,
    init: config.initMethod,
    masks: maskRule(config),
    float32,
    seedOnly,
  });
  const { values, initial, stored, ...parts } = contents;
  if (stored.length > 0 && config.optimizer === "SGD") throw trainedBySgd(name, stored);
  return { bytes: encodePab({ ...parts, ...describe(source) }, values, initial), stored };
}

function describe({
  network,
  config,
  classes,
  test,
  checksums,
  license = null,
}: PabSource): Omit<Description, "graph" | "tensors" | "seed" | "init"> {
  const provenance = {
    version: version(),
    dataset: config.dataset,
    ...(checksums === undefined ? {} : { checksums }),
    license,
    settings: toldSettings(config),
  };
  return { network: portableName(config.arch), ...imageRule(network, config), classes, test, provenance };
}

/** What is done to an image before a network sees it. */
export function imageRule(
  { imageShape: [channels] }: Pick<Network, "imageShape">,
  { dataset }: Pick<TrainConfig, "dataset">,
): Pick<Description, "mean" | "std" | "crop"> {
  const folder = dataset === IMAGE_FOLDER;
  const { mean, std } = folder ? IMAGENET : normalisationOf(dataset, channels);
  return { mean, std, crop: folder ? 0.875 : 1 };
}

/** How masks follow from the seed, where they do. */
function maskRule({ pruning }: Config<"pruning">): "shuffle" | "random" | null {
  if (pruning === null) return null;
  if (pruning.maskShuffle || pruning.pruner === "ERK") return "shuffle";
  return pruning.pruner === "Rand" ? "random" : null;
}

function trainedBySgd(name: string, stored: readonly string[]): UserError {
  return new UserError({
    operation: "export",
    argument: quoted(name),
    expected: "convolutions of random weights whose signs were learned",
    received: `weights that SGD trained, first ${quoted(stored[0] ?? "")}`,
    remedy: `train with ${setting("optimizer")} BOP, as \`peekaboo train --help\` shows, or export it as onnx, pth or safetensors`,
  });
}
