// What the machine can do in this run: multiply-adds in registers, and bytes to and from memory.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { getThreads, noGrad, ops, scope, zeros } from "@peekaboo/torch";
import { type Spread, seconds, spreadOf } from "../statistics.js";
import type { Bench } from "./bench.js";
import type { Rates } from "./counts.js";

/** Rates a second, and how they were come by. */
export interface Peaks extends Rates {
  /** Of the bursts, GFLOP/s and GB/s. */
  readonly gflops: Spread;
  readonly gigabytes: Spread;
  readonly how: string;
}

const SOURCE = fileURLToPath(new URL("../../native/peak.cc", import.meta.url));
/** Short, so that some of them have the processor to themselves on a machine that has other work. */
const BURST_MILLISECONDS = "4";

/** GFLOP/s of bursts of multiply-adds in registers, on as many threads as libtorch has; null without a compiler. */
function registerBursts(count: number): number[] | null {
  const folder = mkdtempSync(join(tmpdir(), "peekaboo-bench-peak-"));
  const program = join(folder, "peak");
  try {
    const flags = ["-O2", "-march=native", "-ffp-contract=fast", "-pthread"];
    execFileSync(process.env.CXX ?? "c++", [...flags, SOURCE, "-o", program], { stdio: "ignore" });
    const output = execFileSync(program, [`${getThreads()}`, `${count}`, BURST_MILLISECONDS], { encoding: "utf8" });
    return output.trim().split("\n").map(Number);
  } catch {
    return null;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** GFLOP/s of large convolutions by libtorch: what it comes to where nothing can be compiled. */
function convolutionBursts(count: number): number[] {
  return scope(() =>
    noGrad(() => {
      const [images, channels, side, kernel] = [8, 256, 16, 3];
      const input = ops.contiguous(ops.randn([images, channels, side, side]), { memoryFormat: "channelsLast" });
      const weight = ops.randn([channels, channels, kernel, kernel]);
      const flops = 2 * images * side ** 2 * weight.numel;
      const once = () => seconds(() => scope(() => void ops.conv2d(input, weight, null, 1, 1)));
      return Array.from({ length: count }, () => (1e-9 * flops) / once());
    }),
  );
}

/** GB/s of copies between two blocks that no cache holds, read and written bytes together. */
function copyBursts(count: number, bytes: number): number[] {
  return scope(() => {
    const [from, to] = [zeros([bytes / 4], { dtype: "float32" }), zeros([bytes / 4], { dtype: "float32" })];
    const once = () => seconds(() => void ops.copy_(to, from));
    once();
    return Array.from({ length: count }, () => (2e-9 * bytes) / once());
  });
}

export function measurePeaks(quick: boolean): Peaks {
  const bursts = quick ? 3 : 200;
  const registers = registerBursts(bursts);
  const gflops = spreadOf(registers ?? convolutionBursts(bursts));
  const gigabytes = spreadOf(quick ? copyBursts(2, 2 ** 24) : copyBursts(15, 2 ** 28));
  const how = registers === null ? "libtorch's convolutions, for want of a compiler" : "multiply-adds in registers";
  return { gflops, gigabytes, how, flops: 1e9 * gflops.maximum, bytes: 1e9 * gigabytes.maximum };
}

export const peaks: Bench = {
  name: "peaks",
  about: "the machine's multiply-adds and memory bandwidth, which the others are measured against",
  async run({ peaks }) {
    const { gflops, gigabytes, how } = await peaks();
    const rows = [
      { what: `float32, ${how}, GFLOP/s`, threads: getThreads(), value: gflops },
      { what: "memory, a copy of 256 MiB, GB/s", threads: getThreads(), value: gigabytes },
    ];
    const notes = [
      "The maximum counts as the peak: bursts of a few milliseconds, and what is below lost time to others.",
    ];
    return { tables: [{ title: "The machine's peaks", notes, rows }] };
  },
};
