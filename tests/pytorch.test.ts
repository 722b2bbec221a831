// Files to and from real PyTorch, where a Python with torch is installed.
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type PthFile, readPth, StoredTensor, writePth } from "@peekaboo/pth";
import type { PickleValue } from "@peekaboo/pth/pickle";
import { entryOf, ops, scope, Tensor, tensorOf } from "@peekaboo/torch";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeCheckpoint } from "../packages/peekaboo/src/checkpoint/checkpoint.js";
import { loadPretrained } from "../packages/peekaboo/src/checkpoint/pretrained.js";
import { BEGINNING } from "../packages/peekaboo/src/checkpoint/progress.js";
import { findState } from "../packages/peekaboo/src/checkpoint/state-file.js";
import { exportFile } from "../packages/peekaboo/src/commands/export-file.js";
import { parseConfig } from "../packages/peekaboo/src/config/config.js";
import { Network } from "../packages/peekaboo/src/models/network.js";
import { prune } from "../packages/peekaboo/src/pruning/loop.js";
import { magnitude } from "../packages/peekaboo/src/pruning/pruners/magnitude.js";
import { Trainer } from "../packages/peekaboo/src/training/trainer.js";
import { sharedFolder } from "./support/folder.js";

const python = ["python3", "/usr/bin/python3"].find((command) => {
  try {
    execFileSync(command, ["-c", "import torch"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
});
const reason = python === undefined ? " (skipped: no python3 here has torch)" : "";
if (python === undefined) console.warn(`PyTorch's tests${reason}`);

const script = fileURLToPath(new URL("support/pytorch.py", import.meta.url));
const fixtures = fileURLToPath(new URL("../packages/pth/src/fixtures/", import.meta.url));
const run = (...args: string[]) => execFileSync(python ?? "python3", args, { stdio: "pipe" });

const OPTIONS = { arch: "ResNet20", width: 0.25, numClasses: 10 };
const folder = sharedFolder();
let input: Tensor;
const file = (name: string) => join(folder, name);

beforeAll(async () => {
  input = Tensor.from(
    Float32Array.from({ length: 4 * 3 * 32 * 32 }, (_, i) => Math.sin(i * i)),
    { shape: [4, 3, 32, 32] },
  );
  await writePth(file("input.pth"), [["input", entryOf(input)]]);
});
afterAll(() => {
  input.dispose();
});

/** The largest difference between a network's logits and those that Python saved. */
async function logitError(network: Network, saved: string): Promise<number> {
  const theirs = (await findState(saved, new Set())).entries.get("logits");
  if (theirs === undefined) throw new Error("no logits");
  network.module.eval();
  return scope(() => {
    const difference = ops.sub(network.call(input), tensorOf(theirs));
    expect(difference.shape).toEqual([4, 10]);
    return Math.max(...[...difference.toTypedArray()].map((value) => Math.abs(Number(value))));
  });
}

/** A pruned network after a step of training, as a checkpoint. */
async function makeCheckpoint(path: string): Promise<Network> {
  const config = parseConfig({ arch: "ResNet20", width: 0.25, optimizer: "BOP", bop: { ar: 0.1, tau: 0 } });
  const network = new Network(OPTIONS);
  network.initialise("kaiming_normal", 5);
  const options = { density: 0.3, iterations: 1, schedule: "linear", scope: "local" } as const;
  await prune(network, { pruner: magnitude, ...options, imageShape: [3, 32, 32] });
  const trainer = new Trainer(network, config);
  const target = Tensor.from(BigInt64Array.of(0n, 1n, 2n, 3n));
  for (let step = 0; step < 3; step++) trainer.step({ input, target }, { epoch: 0, step, totalSteps: 3 });
  await writeCheckpoint(path, trainer, config, { ...BEGINNING, step: 3 });
  trainer.dispose();
  return network;
}

describe.skipIf(python === undefined)(`PyTorch${reason}`, () => {
  it("takes an exported state strictly and computes our logits from it", async () => {
    const network = await makeCheckpoint(file("best.safetensors"));
    const { output } = await exportFile(file("best.safetensors"), {
      format: "pth",
      output: null,
      raw: false,
      force: false,
    });
    run(script, "evaluate", output, file("input.pth"), file("logits.pth"));
    expect(await logitError(network, file("logits.pth"))).toBeLessThan(1e-5);
    network.dispose();
  });

  it("gives weights that --load-pretrained takes, with its logits", async () => {
    run(script, "create", file("theirs.pth"), file("input.pth"), file("their-logits.pth"));
    const network = new Network(OPTIONS);
    let said = "";
    await loadPretrained(network, file("theirs.pth"), (text) => {
      said = text;
    });
    expect(said).toBe(`${file("theirs.pth")}: loaded 107 tensors, ignored 21 num_batches_tracked.`);
    expect(await logitError(network, file("their-logits.pth"))).toBeLessThan(1e-5);
    network.dispose();
  });

  it("writes, in the version that is here, what the fixtures hold", async () => {
    run(join(fixtures, "make.py"), folder);
    const names = readdirSync(fixtures).filter((name) => name.endsWith(".pth") && name !== "module.pth");
    expect(names.length).toBeGreaterThan(4);
    for (const name of names) {
      const [fresh, kept] = [await readPth(file(name)), await readPth(join(fixtures, name))];
      expect(plain(fresh, fresh.value)).toEqual(plain(kept, kept.value));
    }
  });
});

/** A value with its tensors' elements in their places. */
function plain(source: PthFile, value: PickleValue): unknown {
  if (value instanceof StoredTensor) {
    const { data, ...rest } = source.entryOf(value);
    return { ...rest, data: [...data] };
  }
  return value instanceof Map ? new Map([...value].map(([key, item]) => [key, plain(source, item)])) : value;
}
