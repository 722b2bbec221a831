import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { sharedFolder } from "../../../../../tests/support/folder.js";
import { solid, writeFiles } from "../../../../../tests/support/images.js";
import type { Work } from "./job.js";
import { DecoderPool } from "./pool.js";

const SIZE = 8;
const BYTES = SIZE * SIZE * 3;

const folder = sharedFolder();
beforeAll(async () => {
  await writeFiles(folder, {
    "red.png": solid([255, 0, 0]).png().toBuffer(),
    "blue.png": solid([0, 0, 255]).png().toBuffer(),
    "bad.png": Buffer.from("no image"),
  });
});

function workOf(pool: DecoderPool, ...names: string[]): Work {
  const files = names.map((name) => join(folder, name));
  const slot = pool.acquire(names.length * BYTES);
  return { files, indices: new Int32Array(names.length), transform: { kind: "plain" }, size: SIZE, slot };
}

/** A pool whose threads run other code. */
const poolOf = (code: string, workers = 2) =>
  new DecoderPool({ workers, entry: new URL(`data:text/javascript,${encodeURIComponent(code)}`) });

describe("DecoderPool", () => {
  it.each([0, 1, 3])("puts each image at its place, and lists what failed, with %d threads", async (workers) => {
    const pool = new DecoderPool({ workers });
    try {
      const work = workOf(pool, "red.png", "bad.png", "blue.png", "none.png", "blue.png", "red.png");
      const failures = await pool.submit(work);
      expect(failures.map(({ position }) => position)).toEqual([1, 3]);
      expect(failures[0]?.reason).toBe("a file of another format");
      expect(failures[1]?.reason).toContain("ENOENT");
      const pixels = new Uint8Array(work.slot.pixels);
      const first = [0, 2, 4, 5].map((image) => [...pixels.subarray(image * BYTES, image * BYTES + 3)]);
      expect(first).toEqual([
        [255, 0, 0],
        [0, 0, 255],
        [0, 0, 255],
        [255, 0, 0],
      ]);
    } finally {
      await pool.dispose();
    }
  });

  it("gives slots that were given back before it makes new ones", () => {
    const pool = new DecoderPool({ workers: 0 });
    const [first, second] = [pool.acquire(100), pool.acquire(100)];
    expect(second).not.toBe(first);
    pool.release(first);
    expect(pool.acquire(60)).toBe(first);
    pool.release(second);
    expect(pool.acquire(200)).not.toBe(second);
    // A slot that has been too small isn't kept.
    expect(pool.acquire(100)).not.toBe(second);
  });

  it("tells of a batch that fits into no memory", () => {
    const pool = new DecoderPool({ workers: 0 });
    expect(() => pool.acquire(2 ** 50)).toThrow(/a size that fits into memory for a batch, received 1125899906842624/);
  });

  it.each([
    ["can't start", "throw new Error('no sharp')", "worker thread 1 failed: no sharp"],
    ["ends at once", "process.exit(3)", "ended unexpectedly, with exit status 3"],
    [
      "fails at work",
      "import { parentPort } from 'node:worker_threads'; parentPort.on('message', () => { throw new Error('oops'); })",
      "failed: oops",
    ],
    [
      "ends at work",
      "import { parentPort } from 'node:worker_threads'; parentPort.on('message', () => process.exit(0))",
      "ended unexpectedly, with exit status 0",
    ],
  ])("rejects everything when a thread %s", async (_, code, message) => {
    const pool = poolOf(code, message.includes("thread 1") ? 1 : 2);
    const [first, second] = [pool.submit(workOf(pool, "red.png")), pool.submit(workOf(pool, "blue.png"))];
    await expect(first).rejects.toThrow(message);
    await expect(second).rejects.toThrow(message);
    await expect(pool.submit(workOf(pool, "red.png"))).rejects.toThrow(message);
    await pool.dispose();
  });

  it("rejects what is under way when it is disposed of", async () => {
    for (const pool of [poolOf("setInterval(() => {}, 1e6)"), new DecoderPool({ workers: 0 })]) {
      const done = pool.submit(workOf(pool, "red.png"));
      await pool.dispose();
      await expect(done).rejects.toThrow("disposed of while they were read");
    }
  });

  it("doesn't keep a process alive that forgot to dispose of it", () => {
    const module = new URL("../../../dist/data/image-folder/pool.js", import.meta.url).href;
    const code = `
      import { DecoderPool } from ${JSON.stringify(module)};
      const pool = new DecoderPool({ workers: 2 });
      const files = [${JSON.stringify(join(folder, "red.png"))}];
      const slot = pool.acquire(${BYTES});
      const work = { files, indices: new Int32Array(1), transform: { kind: "plain" }, size: ${SIZE}, slot };
      const failures = await pool.submit(work);
      console.log(failures.length, new Uint8Array(slot.pixels)[0]);`;
    const output = execFileSync(process.execPath, ["--input-type=module", "-e", code], {
      encoding: "utf8",
      timeout: 60_000,
    });
    expect(output).toBe("0 255\n");
  });
});
