import { existsSync, realpathSync } from "node:fs";
import { quoted, UserError } from "@peekaboo/files/errors";
import { setting } from "../setting.js";

/** @throws {UserError} when a file is there already that isn't to be replaced, or that the result is made of. */
export function refuseOverwriting(operation: string, file: string, output: string, force: boolean): void {
  if (!existsSync(output)) return;
  const itself = existsSync(file) && realpathSync(file) === realpathSync(output);
  if (force && !itself) return;
  throw new UserError({
    operation,
    argument: setting("output"),
    expected: itself ? "another file than the checkpoint" : "a new file",
    received: `${quoted(output)}, which is there already`,
    remedy: itself
      ? `choose another ${setting("output")}`
      : `choose another ${setting("output")}, or give ${setting("force")} to replace it`,
  });
}
