// Everything of ours on another device. npm run test:device -- [cpu | cuda:N | stand-in | meta]…; without a name, all but cuda.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
/** The second of its two, where a device taken for the first one shows. */
const STAND_IN = "cuda:1";
const PARTS = ["operators", "steps", "runs"];

/** Runs one part on one device; returns what is to be said of its end, undefined when all was well. */
function run(part: string, name: string): string | undefined {
  const standIn = name === "stand-in";
  const node = standIn ? ["--import", here("../stand-in.mjs")] : [];
  const alike = part === "steps" ? { PEEKABOO_INTEGERS: "none" } : {};
  const env = { ...process.env, ...alike, ...(standIn ? { PEEKABOO_STAND_IN: "1" } : {}) };
  const { status, signal } = spawnSync(process.execPath, [...node, here("part.js"), part, standIn ? STAND_IN : name], {
    stdio: ["ignore", "inherit", "inherit"],
    env,
  });
  if (signal === "SIGSEGV") return `${part} on ${name}: SIGSEGV: memory was touched that is not the CPU's`;
  return status === 0 ? undefined : `${part} on ${name}: ${signal ?? `exit status ${status}`}`;
}

const asked = process.argv.slice(2);
const failures: string[] = [];
for (const name of asked.length > 0 ? asked : ["cpu", "meta", "stand-in"]) {
  if (!/^(cpu|meta|stand-in|cuda:\d+)$/.test(name)) {
    process.stderr.write(`expected cpu, cuda:N, stand-in or meta, received ${JSON.stringify(name)}\n`);
    process.exit(2);
  }
  process.stdout.write(`\n${name}\n`);
  const ends = (name === "meta" ? ["meta"] : PARTS).map((part) => run(part, name));
  failures.push(...ends.filter((end) => end !== undefined));
}
process.stdout.write(`\n${failures.length === 0 ? "Every part passed." : `Failed: ${failures.join("; ")}.`}\n`);
process.exitCode = failures.length === 0 ? 0 : 1;
