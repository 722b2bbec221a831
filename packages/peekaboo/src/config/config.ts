import { UserError } from "@peekaboo/files/errors";
import { findSource } from "../data/sets/sources.js";
import { HIDDEN_ACTS } from "../layers/latent-score.js";
import { ownReference } from "../models/own-reference.js";
import { findNetwork, variantOf } from "../models/registry.js";
import { findPruner } from "../pruning/pruners/registry.js";
import { setting } from "../setting.js";
import { withRecipe } from "./imagenet.js";
import { type evaluateOptions, IMAGE_FOLDER, trainOptions } from "./options.js";
import {
  longFlags,
  type Option,
  optionsOf,
  type Table,
  type Values,
  valuesFromFlags,
  valuesFromJson,
} from "./table.js";

type Settings = Values<typeof trainOptions>;

/** How to prune; `density` is the fraction of weights kept. */
export type PruningConfig = Omit<Settings["pruning"], "pruner"> & {
  readonly pruner: NonNullable<Settings["pruning"]["pruner"]>;
};

/** The learning rates, momentum and weight decay of SGD. */
export type SgdConfig = Settings["sgd"];

/** Bop's adaptivity rate γ (`ar`), its threshold τ (`tau`), both for single layers too, and the schedule of γ. */
export type BopConfig = Settings["bop"];

/** The predicted sign gradient of a PSG network's convolutions. */
type PsgConfig = Settings["psg"];

/** All settings of a training run: valid, and equal to itself after a round trip through JSON. */
export type TrainConfig = Omit<Settings, "pruning"> & { readonly pruning: PruningConfig | null };

/** Those of the settings that a function goes by. */
export type Config<K extends keyof TrainConfig> = Pick<TrainConfig, K>;

/** How to evaluate a checkpoint, beyond what its own configuration tells. */
export type EvaluateOptions = Values<typeof evaluateOptions>;

/**
 * The configuration that parsed JSON (a run's `config.json`, a checkpoint's metadata) holds; what is absent takes its default.
 * @throws {UserError} for an unknown setting, an invalid value, or values that don't go together.
 */
export function parseConfig(json: unknown): TrainConfig {
  const unpruned = typeof json === "object" && json !== null && "pruning" in json && json.pruning === null;
  return checked(valuesFromJson(trainOptions, unpruned ? { ...json, pruning: {} } : json));
}

/**
 * The configuration that a run or a checkpoint was saved with, as {@link parseConfig} reads it; before there was a choice of
 * convolutions, all were exact.
 */
export function parseSavedConfig(json: unknown): TrainConfig {
  return parseConfig(typeof json === "object" && json !== null ? { conv: "exact", ...json } : json);
}

/**
 * The configuration of a command line, from the values of the options given there.
 * @throws {UserError} for values that don't go together.
 */
export function configFromFlags(given: ReadonlyMap<Option<unknown>, unknown>): TrainConfig {
  return checked(valuesFromFlags(trainOptions, withRecipe(given)));
}

/** The device to compute on, and whether its absence is an error or means the CPU. */
export function wantedDevice({ device, useCuda }: Config<"device" | "useCuda">): {
  name: string;
  required: boolean;
} {
  if (device !== null) return { name: device, required: true };
  if (useCuda !== null) return { name: `cuda:${useCuda}`, required: false };
  return { name: "cpu", required: true };
}

/** Why a run's pruning is shared with no other, as a clause; null where it may be. */
export function whyUnshared(config: Config<"arch" | "pruning" | "device" | "useCuda">): string | null {
  const { arch, pruning } = config;
  if (pruning === null) return `without ${setting("pruning.pruner")} nothing is pruned`;
  if (pruning.epoch > 0) return "only a pruning before the first step is shared";
  if (ownReference(arch) !== null) return "what a file of your own builds may change";
  return wantedDevice(config).name === "cpu" ? null : "only what the CPU computes is shared";
}

/** The folder in which a run's pruning is shared; null where it isn't. */
export function sharingFolder(
  config: Config<"arch" | "pruning" | "device" | "useCuda" | "sharePruning">,
): string | null {
  return whyUnshared(config) === null ? config.sharePruning : null;
}

/** One sentence for each group of given options that this configuration makes no use of, and for a default that doesn't suit it. */
export function notesOn(config: TrainConfig, given: ReadonlyMap<Option<unknown>, unknown>): string[] {
  const { architecture, variant } = findNetwork(config.arch);
  const { density, ...pruning } = trainOptions.pruning;
  const { hiddenAct, hiddenDensity, scalingInput, dropout, imageSize, workers, onBadImage, sharePruning } =
    trainOptions;
  const unshared = whyUnshared(config);
  const pops = config.hiddenAct === "edge-popup";
  const idle: [Table, boolean, string][] = [
    [
      pops ? pruning : trainOptions.pruning,
      config.pruning === null,
      `without ${setting("pruning.pruner")} nothing is pruned`,
    ],
    [trainOptions.bop, config.optimizer === "SGD", "the optimiser is SGD, not BOP"],
    [trainOptions.bop2, config.optimizer !== "BOP2", `the optimiser is ${config.optimizer}, not BOP2`],
    [trainOptions.psg, !variant.startsWith("psg"), `${config.arch} is not a PSG network`],
    [{ hiddenAct, hiddenDensity, scalingInput }, !variant.endsWith("seed"), `${config.arch} is not a Seed network`],
    [{ imageSize, workers, onBadImage }, config.dataset !== IMAGE_FOLDER, `${config.dataset} is not an image folder`],
    [{ sharePruning }, unshared !== null, unshared ?? ""],
    [{ dropout }, architecture.drops !== true, `${config.arch} has no dropout`],
    [{ conv: trainOptions.conv }, wantedDevice(config).name !== "cpu", "it is for the CPU"],
    [{ grey: trainOptions.grey }, !hasGreyImages(config.dataset), `${config.dataset}'s images are in colour`],
  ];
  const unsuited =
    config.optimizer === "BOP2" && config.bop.tau === trainOptions.bop.tau.default && !given.has(trainOptions.bop.tau);
  const notes = unsuited
    ? [`${setting("bop.tau")}: its default is BOP's; BOP2 compares a ratio with it, for which 0.1 is a start.`]
    : [];
  return notes.concat(
    idle.flatMap(([table, unused, why]) => {
      const flags = optionsOf(table).filter((option) => unused && given.has(option));
      return flags.length === 0
        ? []
        : [`${flags.map((option) => longFlags(option)[0]).join(", ")}: no effect, since ${why}.`];
    }),
  );
}

function hasGreyImages(dataset: string): boolean {
  return dataset !== IMAGE_FOLDER && findSource(dataset).image.channels === 1;
}

function checked(settings: Settings): TrainConfig {
  const { pruner, ...how } = settings.pruning;
  const { hiddenAct, hiddenDensity: own } = settings;
  // Edge-popup's density is --prune-ratio, which belongs to a pruner that isn't there.
  const hiddenDensity = hiddenAct === "edge-popup" && own === null && how.density < 1 ? how.density : own;
  const config: TrainConfig = { ...settings, hiddenDensity, pruning: pruner === null ? null : { pruner, ...how } };
  checkScores(config);
  if (config.pruning !== null) {
    checkPruningTime(config.pruning, config.epochs);
    checkPruningScope(config.pruning);
  }
  checkThreshold(config.psg);
  checkFolder(config);
  checkLayerRates(config.bop);
  return config;
}

function checkScores({
  arch,
  hiddenAct,
  hiddenDensity,
  pruning,
}: Config<"arch" | "hiddenAct" | "hiddenDensity" | "pruning">): void {
  const variant = variantOf(arch);
  const refuse = (argument: string, expected: string, received: string, remedy: string) =>
    new UserError({ operation: "train", argument, expected, received, remedy });
  if (variant === "seed" && hiddenAct === null) {
    const remedy = `give ${HIDDEN_ACTS.slice(0, -1).join(", ")} or ${HIDDEN_ACTS.at(-1)}`;
    throw refuse(setting("hiddenAct"), `what ${arch}'s latent scores do`, "none given", remedy);
  }
  if (variant === "psg-seed" && hiddenAct !== null && hiddenAct !== "flipping") {
    throw refuse(setting("hiddenAct"), `flipping, which is ${arch}'s own`, hiddenAct, "leave it out");
  }
  if (variant !== "seed" || hiddenAct !== "edge-popup") return;
  if (hiddenDensity === null) {
    throw refuse(
      setting("pruning.density"),
      "a fraction below 1 for edge-popup to keep of each layer",
      "1",
      "give e.g. 0.3",
    );
  }
  if (pruning !== null) {
    const remedy = `leave out one of the two: edge-popup itself keeps ${setting("pruning.density")} of each layer`;
    throw refuse(setting("pruning.pruner"), `none beside ${setting("hiddenAct")} edge-popup`, pruning.pruner, remedy);
  }
}

function checkPruningTime({ epoch, shots }: PruningConfig, epochs: number): void {
  if (epoch >= epochs) {
    throw new UserError({
      operation: "train",
      argument: setting("pruning.epoch"),
      expected: `an epoch before the last (${setting("epochs")} ${epochs})`,
      received: `${epoch}`,
      remedy: "prune earlier or train longer",
    });
  }
  if (shots > 1 && epoch < shots) {
    throw new UserError({
      operation: "train",
      argument: setting("pruning.shots"),
      expected: `at most one shot an epoch (${setting("pruning.epoch")} ${epoch})`,
      received: `${shots}`,
      remedy: `give ${setting("pruning.epoch")} ${shots} or more, or fewer shots`,
    });
  }
}

function checkPruningScope({ pruner, scope }: PruningConfig): void {
  const { always } = findPruner(pruner);
  if (always === undefined || scope === "global" || scope === always.scope) return;
  throw new UserError({
    operation: "train",
    argument: setting("pruning.scope"),
    expected: always.scope,
    received: scope,
    remedy: `${setting("pruning.pruner")} ${pruner} gives each layer a density of its own: leave ${setting("pruning.scope")} out, or use another pruner`,
  });
}

function checkFolder({ dataset, data }: Config<"dataset" | "data">): void {
  if (dataset !== IMAGE_FOLDER || data !== null) return;
  throw new UserError({
    operation: "train",
    argument: `${setting("dataset")} imagefolder`,
    expected: "a folder that holds train/CLASS/ and val/CLASS/",
    received: "none",
    remedy: `give it as the last argument, or by ${setting("data")}`,
  });
}

function checkThreshold({ threshold }: PsgConfig): void {
  if (threshold.mode === "absolute" || threshold.value <= 1) return;
  throw new UserError({
    operation: "train",
    argument: setting("psg.threshold.value"),
    expected: "a fraction of at most 1",
    received: `${threshold.value}`,
    remedy: `a threshold in units of the gradient needs ${setting("psg.threshold.mode")} absolute`,
  });
}

/** A schedule that raises γ must not raise a layer's own γ, which it multiplies alike, to 1. */
function checkLayerRates({ ar, arFinal, arSchedule, arLayers }: BopConfig): void {
  const growth = arSchedule === "step" ? 1 : Math.max(1, arFinal / ar);
  const raised = arLayers.find(({ value }) => value * growth >= 1);
  if (raised === undefined) return;
  throw new UserError({
    operation: "train",
    argument: setting("bop.arLayers"),
    expected: `values that stay below 1 when ${setting("bop.arFinal")} multiplies them by ${growth}`,
    received: `${raised.pattern}=${raised.value}`,
    remedy: `lower it, or ${setting("bop.arFinal")}`,
  });
}
