import { realpathSync } from "node:fs";
import { dirname } from "node:path";
import { quoted, UserError } from "@peekaboo/files/errors";
import { readLatest } from "../checkpoint/checkpoint-store.js";
import { type Checkpoint, readCheckpoint } from "../checkpoint/format.js";
import type { Config, TrainConfig } from "../config/config.js";
import { findNetwork } from "../models/registry.js";
import { differences, inJson } from "../runs/differences.js";
import type { RunFolder } from "../runs/run-folder.js";
import { setting } from "../setting.js";
import type { Reporter } from "../training/reporter.js";

/** Settings that change where and how fast a run goes, and nothing of what it computes. */
const INCIDENTAL: ReadonlySet<string> = new Set([
  ...["savedir", "expName", "resume", "device", "useCuda", "threads", "json", "dataFolder", "loadPretrained"],
  ...["data", "pruning.verbose", "workers", "printFreq", "evaluate", "onNan", "keep", "log", "sharePruning"],
]);

/** Settings that only say when to stop, as long as no rate depends on the number of steps. */
const LENGTH: ReadonlySet<string> = new Set(["epochs", "maxSteps"]);

/**
 * What `--resume` asks to continue: the run folder's newest whole checkpoint (`auto`), a file, or null for nothing.
 *
 * @param reporter hears of a damaged checkpoint that was passed over
 * @throws {UserError} when the file can't be read, or is of a run with other settings, of which it lists the first few.
 */
export function findStart(
  config: TrainConfig,
  folder: Pick<RunFolder, "path" | "checkpoint">,
  reporter: Reporter,
): Checkpoint | null {
  const { resume } = config;
  if (resume === "never") return null;
  const checkpoint = resume === "auto" ? readLatest(folder, (text) => reporter.note?.(text)) : readCheckpoint(resume);
  if (checkpoint === null) return null;
  if (checkpoint.stage === "pruned") refuseOtherNetwork(config, checkpoint);
  else if (!config.evaluate) refuseOtherSettings(config, checkpoint);
  return checkpoint;
}

/** A pruned file fits every training of its architecture, in whichever variant, that doesn't prune anew. */
function refuseOtherNetwork(config: Config<"arch" | "width" | "pruning">, { path, config: pruned }: Checkpoint): void {
  const describe = ({ arch, width }: Config<"arch" | "width">) =>
    `${findNetwork(arch).architecture.name} of width ${width}`;
  if (describe(config) !== describe(pruned)) {
    throw new UserError({
      operation: "train",
      argument: setting("resume"),
      expected: `a pruned ${describe(config)}, for ${setting("arch")} ${config.arch}`,
      received: `${quoted(path)}, which holds a ${describe(pruned)}`,
      remedy: `give ${setting("arch")} and ${setting("width")} as they were when it was pruned (or their Psg variant), or prune anew`,
    });
  }
  if (config.pruning === null) return;
  throw new UserError({
    operation: "train",
    argument: setting("pruning.pruner"),
    expected: "none beside a network that is pruned already",
    received: config.pruning.pruner,
    remedy: `leave it out, or leave out ${setting("resume")}`,
  });
}

/** Whether a checkpoint lies in the run folder itself, so that its metrics go on. */
export function isOwn({ path, stage }: Checkpoint, folder: Pick<RunFolder, "path">): boolean {
  return stage === "training" && dirname(realpathSync(path)) === realpathSync(folder.path);
}

/** Whether the setting at a path changes nothing of what a run computes. */
export function isIncidental(path: string): boolean {
  return INCIDENTAL.has(path) || /^(distributed|checkpointEvery)(\.|$)/.test(path);
}

function refuseOtherSettings(config: TrainConfig, checkpoint: Checkpoint): void {
  const rated = config.sgd.lrSchedule !== "step" || (config.optimizer !== "SGD" && config.bop.arSchedule !== "step");
  const others = differences(checkpoint.config, config).filter(
    ({ path }) => !isIncidental(path) && (rated || !LENGTH.has(path)),
  );
  if (others.length === 0) return;
  const few = others
    .slice(0, 3)
    .map(({ path, before, after }) => `${path} ${inJson(after)} instead of ${inJson(before)}`);
  const more = others.length > 3 ? ` and ${others.length - 3} more` : "";
  throw new UserError({
    operation: "resume",
    argument: quoted(checkpoint.path),
    expected: "the settings that its run began with",
    received: `others (${few.join(", ")}${more})`,
    remedy: `give the same settings, or start anew with ${setting("resume")} never or another ${setting("expName")}`,
  });
}
