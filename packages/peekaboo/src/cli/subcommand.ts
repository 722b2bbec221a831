import type { Command } from "commander";
import { ownReference } from "../models/own-reference.js";
import { refuseExcess, usageError } from "./usage.js";

/** A new command of `parent`, whose usage errors are thrown as one sentence; `name` may declare arguments: `inspect <file>`. */
export function subcommand(parent: Command, name: string, description: string): Command {
  const command = parent.command(name).description(description).allowExcessArguments();
  return strict(command).hook("preAction", async (_, acting) => {
    refuseExcess(acting);
    await loadOwn(acting.opts().arch);
  });
}

/** Runs the file of the user's own that a command line names as its network. */
export async function loadOwn(arch: unknown): Promise<void> {
  if (typeof arch !== "string" || ownReference(arch) === null) return;
  const { loadOwnNetwork } = await import("../models/own-file.js");
  await loadOwnNetwork(arch);
}

/** Makes a command throw its usage errors, as one sentence, instead of printing them and ending the process. */
export function strict(command: Command): Command {
  return command.showSuggestionAfterError(false).exitOverride((error) => {
    throw usageError(command, error);
  });
}
