// What our allocator holds, by the resident memory of a process of its own.
import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";

const library = new URL("../../dist/native/library.js", import.meta.url).href;

/** Resident megabytes after each of these: tensors of so many megabytes each, written to and then freed together. */
function resident(rounds: readonly (readonly number[])[]): number[] {
  const code = `
    import { readFileSync } from "node:fs";
    import { ops, scope } from "@peekaboo/torch";
    import { pabOps } from ${JSON.stringify(library)};
    pabOps().reuseMemory(true);
    const now = () => Number(/VmRSS:\\s+(\\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]) / 1024;
    const fill = (megabytes) => ops.empty([megabytes * 2 ** 20], { dtype: "uint8" }).fill_(1);
    const round = (sizes) => scope(() => { sizes.map(fill); return now(); });
    round([2]);
    console.log(JSON.stringify(${JSON.stringify(rounds)}.map(round)));`;
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", code], {
    cwd: import.meta.dirname,
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  return JSON.parse(stdout) as number[];
}

/** How much more of it there is after the last round than after the first. */
function grown(...rounds: readonly (readonly number[])[]): number {
  const all = resident(rounds);
  return (all.at(-1) ?? Number.NaN) - (all[0] ?? Number.NaN);
}

describe.runIf(process.platform === "linux")("memory of freed tensors", () => {
  const many = Array.from({ length: 20 }, () => 16);

  it("serves several smaller ones", () => {
    expect(grown([320], many)).toBeLessThan(16);
  });

  it("that lie side by side serves a larger one", () => {
    expect(grown(many, [320])).toBeLessThan(16);
  });

  it("serves others again and again, with no more held than the largest round took", () => {
    expect(grown(many, [100, 50, 100], [3, 200, 7, 90], [30, 30, 30, 200], many)).toBeLessThan(16);
  });

  it("counts, where a new tensor fits nowhere, with a quarter of what was in use at most", () => {
    const [first = Number.NaN, last = Number.NaN] = resident([many, [330]]);
    expect(last - first).toBeGreaterThan(0);
    expect(last - first).toBeLessThan(100);
  });
});
