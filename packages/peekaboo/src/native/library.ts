import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { loadLibrary, UserError } from "@peekaboo/torch";
import * as generated from "../generated/ops.js";

// node-gyp names every module .node; to libtorch it is an ordinary operator library.
const path = fileURLToPath(new URL("../../build/Release/peekaboo.node", import.meta.url));

let loaded = false;

/** Peek-a-Boo's own operators, their library loaded at the first call. @throws {UserError} when it isn't built. */
export function pabOps(): typeof generated {
  if (!loaded) {
    if (!existsSync(path)) {
      throw new UserError({
        operation: "load Peek-a-Boo's operators",
        argument: `the library ${path}`,
        expected: "a built library",
        received: "none",
        remedy: "build it with `npm run build` in the project's folder",
      });
    }
    loadLibrary(path);
    loaded = true;
  }
  return generated;
}
