import type { Command } from "commander";
import { refuseExcess, usageError } from "./usage.js";

/** A new command of `parent`, whose usage errors are thrown as one sentence; `name` may declare arguments: `inspect <file>`. */
export function subcommand(parent: Command, name: string, description: string): Command {
  const command = parent.command(name).description(description).allowExcessArguments();
  return strict(command).hook("preAction", (_, acting) => refuseExcess(acting));
}

/** Makes a command throw its usage errors, as one sentence, instead of printing them and ending the process. */
export function strict(command: Command): Command {
  return command.showSuggestionAfterError(false).exitOverride((error) => {
    throw usageError(command, error);
  });
}
