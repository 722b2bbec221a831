import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { sharedFolder } from "../../../../tests/support/folder.js";

const library = new URL("../../dist/native/library.js", import.meta.url).href;

/** Kilobytes of address space for tensors, beyond what Node and libtorch need to start. */
const ROOM = 700_000;

/** What `body` returns in a process of its own, under `limits` of bash's ulimit. */
function run(body: string, limits = ":"): unknown {
  const code = `
    import { readFileSync, writeFileSync } from "node:fs";
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

describe("in a cgroup with a limit of a gibibyte, of which a sixteenth isn't for tensors", () => {
  const folder = sharedFolder();

  /** What `body` returns where so many megabytes are in use; `use()` and `keep()` change that, and what it is used for. */
  function runIn(used: number, body: string, processes = 1): unknown {
    const [usage, stat] = [join(folder, "usage"), join(folder, "stat")].map((path) => JSON.stringify(path));
    return run(
      `const use = (megabytes) => writeFileSync(${usage}, megabytes * MEGABYTE + "\\n");
       const keep = (sizes) =>
         writeFileSync(${stat}, Object.entries(sizes).map(([name, size]) => name + " " + size * MEGABYTE + "\\n").join(""));
       use(${used});
       keep({});
       pabOps().limitMemory(1024 * MEGABYTE, { usage: ${usage}, stat: ${stat}, processes: ${processes} });
       pabOps().reuseMemory(true);
       const asked = (megabytes) => attempt(() => held.push(bytes(megabytes * MEGABYTE)));
       ${body}`,
    );
  }

  it("tensors are refused what would not leave 64 MiB, by the error of an exhausted machine", () => {
    expect(runIn(100, "return [asked(850), asked(700), [...kinds]];")).toEqual([false, true, ["memory"]]);
    expect(runIn(100, "use(600); const before = asked(300); use(500); return [before, asked(300)];")).toEqual([
      false,
      true,
    ]);
  });

  it("what was given but not written to counts as well, until it is", () => {
    const body = `fill(100 * MEGABYTE);
      const count = held.length;
      for (const tensor of held) tensor.fill_(1);
      return [count, asked(100)];`;
    expect(runIn(100, body)).toEqual([7, true]);
  });

  it("small tensors are refused the last 32 MiB, and what is idle then goes", () => {
    const body = `asked(200);
      held.pop().fill_(1).dispose();
      use(950);
      const small = attempt(() => { for (let i = 0; i < 100; i++) bytes(1); });
      const peak = Number(/VmRSS:\\s+(\\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]);
      use(100);
      asked(200);
      held.pop().fill_(1);
      const again = Number(/VmRSS:\\s+(\\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]);
      return [small, again - peak > 190_000];`;
    expect(runIn(100, body)).toEqual([false, true]);
  });

  it("copies of files don't count where the system can drop them, in either version's words", () => {
    const cases = [
      [{ anon: 200, inactive_file: 500, active_file: 200, file_mapped: 50, file_dirty: 10 }, true],
      // What still has to be written.
      [{ anon: 200, inactive_file: 700, file_dirty: 300, file_writeback: 200 }, false],
      [{ inactive_file: 0, active_file: 0, total_inactive_file: 700, total_active_file: 0, total_dirty: 5 }, true],
      // Of the cgroup alone, without those below it.
      [{ inactive_file: 700, total_inactive_file: 0 }, false],
      [{}, false],
    ] as const;
    // Each of another size, so that none takes up the last one's memory.
    const body = `return ${JSON.stringify(cases.map(([sizes]) => sizes))}.map((sizes, i) => {
      keep(sizes);
      const fits = asked(500 + i);
      held.pop()?.dispose();
      return fits;
    });`;
    expect(runIn(900, body)).toEqual(cases.map(([, fits]) => fits));
  });

  it("several processes, which do the same, leave each other as much", () => {
    const body = "return [asked(400), asked(300)];";
    expect(runIn(100, body)).toEqual([true, true]);
    expect(runIn(100, body, 2)).toEqual([false, true]);
  });

  it("a cgroup whose files are gone limits nothing", () => {
    const body = `pabOps().limitMemory(1024 * MEGABYTE, { usage: "/no/such/usage", stat: "/no/such/stat", processes: 1 });
      pabOps().reuseMemory(true);
      return attempt(() => held.push(bytes(800 * MEGABYTE)));`;
    expect(run(body)).toBe(true);
  });
});
