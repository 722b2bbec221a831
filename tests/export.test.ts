// The real command line: a run's network to a file for PyTorch, and from there into another run.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { asTypedArray, type TensorEntry } from "@peekaboo/files/safetensors";
import { describe, expect, it } from "vitest";
import { findState } from "../packages/peekaboo/src/checkpoint/state-file.js";
import { peekaboo } from "./support/cli.js";
import { sharedFolder } from "./support/folder.js";

const RUN = "--arch ResNet20 --width 0.25 --bs 16 --train-limit 32 --test-limit 16 --max-steps 1".split(" ");
const folder = sharedFolder();

const train = (name: string, ...more: string[]) =>
  peekaboo("train", ...RUN, ...more, "--savedir", folder, "--exp-name", name);

/** A tensor's elements; a learning rate of 0 still makes 0 of -0. */
function numbers(entry: TensorEntry | undefined): number[] {
  if (entry === undefined) throw new Error("no such tensor");
  return Array.from<number | bigint, number>(asTypedArray(entry), (value) => Number(value) + 0);
}

describe("peekaboo export", () => {
  it("writes what another run starts from: only a step of its own lies between the two", async () => {
    expect(train("first", "--pruner", "Mag", "--prune-ratio", "0.5").status).toBe(0);
    const checkpoint = join(folder, "first", "checkpoint.safetensors");
    const exported = peekaboo("export", checkpoint);
    const output = join(folder, "first", "checkpoint.effective.pth");
    expect(exported.stderr).toBe("");
    expect(exported.stdout).toContain(`Wrote ${output}: 128 tensors (pruned weights as zeros)`);
    expect(exported.stdout).toContain(`model.load_state_dict(torch.load("${output}", weights_only=True))`);
    const again = peekaboo("export", checkpoint);
    expect([again.status, again.stdout]).toEqual([2, ""]);
    expect(again.stderr).toMatch(/^export: expected a new file [^\n]+--force to replace it\.\n$/);

    const second = train("second", "--load-pretrained", output, "--lr", "0");
    expect(second.status).toBe(0);
    expect(second.stderr).toContain(`Note: ${output}: loaded 107 tensors, ignored 21 num_batches_tracked.`);
    const { entries: state } = await findState(output, new Set());
    const { entries: started } = await findState(join(folder, "second", "checkpoint.safetensors"), new Set());
    for (const name of ["conv1.weight", "layer3.2.conv2.weight", "linear.bias"]) {
      expect(numbers(started.get(name))).toEqual(numbers(state.get(name)));
    }
  });

  it("and --load-pretrained refuse a foreign file in one sentence", () => {
    const foreign = join(folder, "foreign.pth");
    writeFileSync(foreign, "cposix\nsystem\n(S'touch owned'\ntR.");
    for (const { status, stderr } of [peekaboo("export", foreign), train("third", "--load-pretrained", foreign)]) {
      expect(status).toBe(2);
      expect(stderr.trimEnd()).toMatch(/^[^\n]*foreign\.pth[^\n]*$/);
    }
  });
});
