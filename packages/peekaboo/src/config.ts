import { UserError } from "@peekaboo/torch/errors";
import { refuseUnavailable } from "./config/availability.js";
import { type evaluateOptions, trainOptions } from "./config/options.js";
import {
  longFlags,
  type Option,
  optionsOf,
  type Table,
  type Values,
  valuesFromFlags,
  valuesFromJson,
} from "./config/table.js";
import { findSource } from "./data/sources.js";
import { findNetwork } from "./models/registry.js";

type Settings = Values<typeof trainOptions>;

/** How to prune; `density` is the fraction of weights kept. */
export type PruningConfig = Omit<Settings["pruning"], "pruner"> & {
  readonly pruner: NonNullable<Settings["pruning"]["pruner"]>;
};

/** The learning rates, momentum and weight decay of SGD. */
export type SgdConfig = Settings["sgd"];

/** Bop's adaptivity rate γ (`ar`), its threshold τ (`tau`) and the schedule of γ. */
export type BopConfig = Settings["bop"];

/** The predicted sign gradient of a PSG network's convolutions. */
export type PsgConfig = Settings["psg"];

/** All settings of a training run: valid, and equal to itself after a round trip through JSON. */
export type TrainConfig = Omit<Settings, "pruning"> & { readonly pruning: PruningConfig | null };

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
 * The configuration of a command line, from the values of the options given there.
 * @throws {UserError} for values that don't go together.
 */
export function configFromFlags(given: ReadonlyMap<Option<unknown>, unknown>): TrainConfig {
  return checked(valuesFromFlags(trainOptions, given));
}

/** The device to compute on, and whether its absence is an error or means the CPU. */
export function wantedDevice({ device, useCuda }: Pick<TrainConfig, "device" | "useCuda">): {
  name: string;
  required: boolean;
} {
  if (device !== null) return { name: device, required: true };
  if (useCuda !== null) return { name: `cuda:${useCuda}`, required: false };
  return { name: "cpu", required: true };
}

/** One sentence for each group of given options that this configuration makes no use of. */
export function notesOn(config: TrainConfig, given: ReadonlyMap<Option<unknown>, unknown>): string[] {
  const idle: [Table, boolean, string][] = [
    [trainOptions.pruning, config.pruning === null, "without --pruner nothing is pruned"],
    [trainOptions.bop, config.optimizer !== "BOP", `the optimiser is ${config.optimizer}, not BOP`],
    [{ grey: trainOptions.grey }, !hasGreyImages(config.dataset), `${config.dataset}'s images are in colour`],
    [trainOptions.psg, !config.arch.startsWith("Psg"), `${config.arch} is not a PSG network`],
  ];
  return idle.flatMap(([table, unused, why]) => {
    const flags = optionsOf(table).filter((option) => unused && given.has(option));
    return flags.length === 0
      ? []
      : [`${flags.map((option) => longFlags(option)[0]).join(", ")}: no effect, since ${why}.`];
  });
}

function hasGreyImages(dataset: string): boolean {
  return findSource(dataset).image.channels === 1;
}

function checked(settings: Settings): TrainConfig {
  const { pruner, ...how } = settings.pruning;
  const config: TrainConfig = { ...settings, pruning: pruner === null ? null : { pruner, ...how } };
  refuseUnavailable(config);
  findNetwork(config.arch);
  if (config.pruning !== null) checkPruningTime(config.pruning, config.epochs);
  checkThreshold(config.psg);
  return config;
}

function checkPruningTime({ epoch, shots }: PruningConfig, epochs: number): void {
  if (epoch >= epochs) {
    throw new UserError({
      operation: "train",
      argument: "--prune-epoch",
      expected: `an epoch before the last (--epochs ${epochs})`,
      received: `${epoch}`,
      remedy: "prune earlier or train longer",
    });
  }
  if (shots > 1 && epoch < shots) {
    throw new UserError({
      operation: "train",
      argument: "--prune-shots",
      expected: `at most one shot an epoch (--prune-epoch ${epoch})`,
      received: `${shots}`,
      remedy: `give --prune-epoch ${shots} or more, or fewer shots`,
    });
  }
}

function checkThreshold({ threshold }: PsgConfig): void {
  if (threshold.mode === "absolute" || threshold.value <= 1) return;
  throw new UserError({
    operation: "train",
    argument: "--psg-threshold",
    expected: "a fraction of at most 1",
    received: `${threshold.value}`,
    remedy: "a threshold in units of the gradient needs --psg-threshold-mode absolute",
  });
}
