import { spawnSync } from "node:child_process";
import { beforeAll, describe, expect, it } from "vitest";

const library = new URL("../../dist/native/library.js", import.meta.url).href;

/** Kilobytes of address space for tensors, beyond what Node and libtorch need to start. */
const ROOM = 700_000;

/** What `body` returns in a process of its own, under `limits` of bash's ulimit. */
function run(body: string, limits = ":"): unknown {
  const code = `
    import { readFileSync } from "node:fs";
    import { ops, scope, setThreads, Tensor } from "@peekaboo/torch";
    import { pabOps } from ${JSON.stringify(library)};
    setThreads(2);
    pabOps().reuseMemory(true);
    const MEGABYTE = 2 ** 20;
    const bytes = (count) => ops.empty([count], { dtype: "uint8" });
    const kinds = new Set();
    const attempt = (action) => {
      try { action(); return true; } catch (error) { kinds.add(error.kind ?? error.message); return false; }
    };
    const held = [];
    const fill = (size) => { while (attempt(() => held.push(bytes(size)))); };
    const result = (() => { ${body} })();
    console.log(JSON.stringify(result));`;
  const node = [process.execPath, "--input-type=module", "-e", code];
  const { stdout, stderr, signal } = spawnSync("bash", ["-c", `${limits} && exec "$@"`, "bash", ...node], {
    cwd: import.meta.dirname,
    encoding: "utf8",
  });
  expect({ stderr, signal }).toEqual({ stderr: "", signal: null });
  return JSON.parse(stdout);
}

const started = () =>
  Number(run(`return Number(/VmPeak:\\s+(\\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1])`));
let limit = "";

describe.runIf(process.platform === "linux")("under a limit of address space", () => {
  beforeAll(() => {
    limit = `ulimit -v ${started() + ROOM}`;
  });

  it("tensors are refused what V8 and threads then still get", () => {
    const result = run(
      `fill(64 * MEGABYTE);
       fill(2 * MEGABYTE);
       const buffer = attempt(() => held.push(new ArrayBuffer(48 * MEGABYTE)));
       const small = attempt(() => { for (let i = 0; i < 100; i++) bytes(1); });
       return { buffer, small, kinds: [...kinds] };`,
      limit,
    );
    expect(result).toEqual({ buffer: true, small: false, kinds: ["memory"] });
  });

  it("convolutions that have no code yet are computed or refused, never fatal", () => {
    const result = run(
      `const side = 12;
       const inputs = Array.from({ length: 200 }, (_, i) => ops.ones([1, i + 1, side, side]));
       fill(2 * MEGABYTE);
       const convolve = (input, channels) => scope(() => ops.conv2d(input, ops.ones([32, channels, 3, 3])).max().item());
       const right = [];
       for (const [i, input] of inputs.entries()) attempt(() => right.push(convolve(input, i + 1) === 9 * (i + 1)));
       return { right: right.every(Boolean), some: right.length > 0, few: right.length < 200, kinds: [...kinds] };`,
      limit,
    );
    expect(result).toEqual({ right: true, some: true, few: true, kinds: ["memory"] });
  });

  it("what is held for tensors to come is given up for one of another size", () => {
    const result = run(
      `fill(16 * MEGABYTE);
       const all = held.length * 16 * MEGABYTE;
       held.push(new ArrayBuffer(48 * MEGABYTE));
       for (const tensor of held) if (tensor instanceof Tensor) tensor.dispose();
       kinds.clear();
       return { fits: attempt(() => bytes(all - 128 * MEGABYTE)), kinds: [...kinds] };`,
      limit,
    );
    expect(result).toEqual({ fits: true, kinds: [] });
  });
});
