import { spawnSync } from "node:child_process";
import { expect, it } from "vitest";

const TORCH = new URL("../dist/index.js", import.meta.url).href;

it.each(["SIGHUP", "SIGINT", "SIGTERM", "SIGUSR2"])("%s is still the program's once libtorch is loaded", (signal) => {
  const code = `
    process.on(${JSON.stringify(signal)}, () => process.exit(7));
    const { full } = await import(${JSON.stringify(TORCH)});
    full([2], 1);
    process.kill(process.pid, ${JSON.stringify(signal)});
    setTimeout(() => process.exit(1), 5000);`;
  const { status, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", code], { encoding: "utf8" });
  expect({ status, stderr }).toEqual({ status: 7, stderr: "" });
});
