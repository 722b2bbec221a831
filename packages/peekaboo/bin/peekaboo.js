#!/usr/bin/env node
try {
  const { main } = await import("../dist/cli/main.js");
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (error.code !== "ERR_MODULE_NOT_FOUND") throw error;
  process.stderr.write("peekaboo is not built yet: run `npm ci && npm run build` at the repository's root.\n");
  process.exitCode = 2;
}
