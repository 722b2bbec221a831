import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { UserError } from "@peekaboo/files/errors";

const BUILD = "build it again with `npm run build`";

/** What a failed load of the addon means, and its cure. */
export function diagnoseLoadFailure(message: string, path: string): UserError {
  const failure = (expected: string, remedy: string, received = message) =>
    new UserError({ operation: "load libtorch", argument: `the addon ${path}`, expected, received, remedy });
  if (!existsSync(path)) {
    return failure("a built addon", "build it with `npm run build` in the project's folder", "no such file");
  }
  if (/cannot open shared object file|Library not loaded|specified module could not be found/.test(message)) {
    return failure(
      "the libtorch that it was built with",
      "install libtorch (Debian: `apt-get install --no-install-recommends libtorch-dev libgloo-dev`) or set LIBTORCH, then `npm run build`",
    );
  }
  if (
    /undefined symbol|Symbol not found|NODE_MODULE_VERSION|invalid ELF|wrong ELF class|version `.*' not found/.test(
      message,
    )
  ) {
    return failure("an addon built for this libtorch and this Node", `libtorch or Node changed since: ${BUILD}`);
  }
  return failure("a loadable addon", BUILD);
}

/** What the check of versions needs of the addon. */
interface Versioned {
  version(): string;
  buildInformation(): string;
}

/**
 * Refuses a libtorch of another minor version than the headers that the addon was compiled with: its ABI differs even
 * where every symbol is found.
 */
export function checkVersion(addon: Versioned, path: string): void {
  const minor = (version: string) => version.split(".").slice(0, 2).join(".");
  const built = addon.version();
  const found = /TORCH_VERSION=([\d.]+)/.exec(addon.buildInformation())?.[1];
  if (found === undefined || minor(found) === minor(built)) return;
  throw new UserError({
    operation: "load libtorch",
    argument: `the addon ${path}`,
    expected: `the libtorch ${built} that it was built with`,
    received: `libtorch ${found}`,
    remedy: BUILD,
  });
}

/** Loads the addon. @throws {UserError} with the cause and the cure when that fails. */
export function loadAddon<Addon extends Versioned>(path: string): Addon {
  let addon: Addon;
  try {
    addon = createRequire(import.meta.url)(path) as Addon;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw diagnoseLoadFailure(message.split("\n")[0] ?? "", path);
  }
  checkVersion(addon, path);
  return addon;
}
