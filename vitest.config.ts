import { fileURLToPath, pathToFileURL } from "node:url";
import { defineConfig, type ViteUserConfig } from "vitest/config";

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** A thread runs JavaScript: beside the TypeScript source that tests load, what was built of it stands in for its program. */
const builtThreads = {
  name: "built-threads",
  enforce: "pre",
  transform(code: string, id: string) {
    const built = pathToFileURL(id.replace(/(\/packages\/[\w-]+)\/src\//, "$1/dist/")).href;
    return code.replaceAll(/new URL\("\.\/([\w-]+\.js)", import\.meta\.url\)/g, `new URL("./$1", "${built}")`);
  },
} satisfies NonNullable<ViteUserConfig["plugins"]>[number];

export default defineConfig({
  plugins: [builtThreads],
  resolve: {
    alias: [
      { find: "@peekaboo/files/errors", replacement: source("packages/files/src/errors.ts") },
      { find: "@peekaboo/files/safetensors", replacement: source("packages/files/src/safetensors/index.ts") },
      { find: "@peekaboo/pth/pickle", replacement: source("packages/pth/src/pickle/index.ts") },
      { find: "@peekaboo/pth", replacement: source("packages/pth/src/index.ts") },
      { find: "@peekaboo/seed/wasm", replacement: source("packages/seed/src/wasm/index.ts") },
      { find: "@peekaboo/seed", replacement: source("packages/seed/src/index.ts") },
      { find: "@peekaboo/runtime", replacement: source("packages/runtime/src/index.ts") },
      { find: "@peekaboo/files", replacement: source("packages/files/src/node/index.ts") },
      { find: "@peekaboo/torch/distributed", replacement: source("packages/torch/src/distributed/index.ts") },
      { find: "@peekaboo/torch/cgroups", replacement: source("packages/torch/src/cgroups.ts") },
      { find: "@peekaboo/torch/cores", replacement: source("packages/torch/src/cores.ts") },
      { find: "@peekaboo/torch/errors", replacement: source("packages/torch/src/errors.ts") },
      { find: "@peekaboo/torch/generate", replacement: source("packages/torch/src/generate/index.ts") },
      { find: /^#peekaboo\/(.*)$/, replacement: `${source("packages/peekaboo/src")}/$1.ts` },
      { find: /^#seed\/(.*)$/, replacement: `${source("packages/seed/src")}/$1.ts` },
      { find: "@peekaboo/torch", replacement: source("packages/torch/src/index.ts") },
    ],
  },
  test: {
    include: ["packages/*/src/**/*.test.ts", "tests/**/*.test.ts"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 180_000,
    hookTimeout: 180_000,
  },
});
