// node --import …/stand-in.mjs: CUDA devices without a GPU (native/stand_in.cc), for a program that knows nothing of it.
import { constants } from "node:os";
import { fileURLToPath } from "node:url";

// OpenMP reads it when libtorch comes in, which is now.
if (process.env.OMP_WAIT_POLICY === undefined) process.env.GOMP_SPINCOUNT ??= "10000";

const library = fileURLToPath(new URL("./build/stand_in.so", import.meta.url));
try {
  // Before the addon asks libtorch for its devices. It is no addon, which Node complains of after it has loaded it.
  process.dlopen({ exports: {} }, library, constants.dlopen.RTLD_NOW);
} catch (error) {
  if (!String(error).includes("did not self-register")) throw error;
}
