import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  resolve: {
    alias: [
      { find: "@peekaboo/torch/background-files", replacement: source("packages/torch/src/background-files.ts") },
      { find: "@peekaboo/torch/distributed", replacement: source("packages/torch/src/distributed/index.ts") },
      { find: "@peekaboo/torch/cgroups", replacement: source("packages/torch/src/cgroups.ts") },
      { find: "@peekaboo/torch/cores", replacement: source("packages/torch/src/cores.ts") },
      { find: "@peekaboo/torch/errors", replacement: source("packages/torch/src/errors.ts") },
      { find: "@peekaboo/torch/files", replacement: source("packages/torch/src/files.ts") },
      { find: "@peekaboo/torch/folders", replacement: source("packages/torch/src/folders.ts") },
      { find: "@peekaboo/torch/generate", replacement: source("packages/torch/src/generate/index.ts") },
      { find: "@peekaboo/torch/safetensors", replacement: source("packages/torch/src/safetensors/index.ts") },
      { find: /^peekaboo\/internal\/(.*)$/, replacement: `${source("packages/peekaboo/src")}/$1.ts` },
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
