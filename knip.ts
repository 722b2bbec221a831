import type { KnipConfig } from "knip";

/** Without `--production`: what nobody imports. With it: what tests and benchmarks alone import. */
const production = process.argv.includes("--production");

export default {
  // What its own file uses may be exported for a test.
  ignoreExportsUsedInFile: production,
  ignoreBinaries: ["ip", "ldd", "mkfifo", "mount", "umount"],
  workspaces: {
    ".": {
      entry: [
        "bench/*.ts",
        // Started as processes.
        "bench/suite/{contestant,parts-of}.ts",
        "examples/*.ts!",
        "scripts/*.mjs",
        "tests/**/*.test.ts",
        "tests/{conformance/cli,device/{main,part},faults/{main,*-child,make-networks}}.ts",
        "tests/device/*.mjs",
        // Compiled outside the repository, by tests/outside.test.ts.
        "tests/outside/program.ts",
      ],
      project: production ? ["examples/*.ts!"] : ["**/*.{ts,mjs}"],
      // Run by scripts/setup.sh.
      ignoreDependencies: ["node-gyp"],
    },
    "packages/files": {
      // Started as a thread.
      entry: ["src/node/lock-beat.ts!", "src/**/*.test.ts"],
    },
    "packages/runtime": {
      project: ["src/**/*.ts!", "!src/**/*.support.ts!"],
    },
    "packages/web": {
      entry: ["scripts/*.mjs!", "src/work/worker.ts!", "src/**/*.test.ts"],
    },
    "packages/torch": {
      entry: ["scripts/*.mjs!", "src/**/*.test.ts"],
      // Named in binding.gyp.
      ignoreDependencies: ["node-addon-api", "node-api-headers"],
    },
    "packages/peekaboo": {
      entry: ["scripts/*.mjs!", "src/native/operators.ts!", "src/board-page/main.ts!", "src/**/*.test.ts"],
      project: ["src/**/*.ts!", "!src/**/*.support.ts!"],
    },
  },
} satisfies KnipConfig;
