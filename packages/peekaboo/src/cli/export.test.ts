import { PassThrough } from "node:stream";
import { UserError } from "@peekaboo/files/errors";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { main } from "./main.js";

const exportFile = vi.hoisted(() => vi.fn());
vi.mock("../commands/export-file.js", () => ({ exportFile }));

async function peekaboo(...argv: string[]) {
  const io = { stdout: new PassThrough(), stderr: new PassThrough() };
  const status = await main(["export", ...argv], io);
  const text = (stream: PassThrough) => String(stream.read() ?? "");
  return { status, stdout: text(io.stdout), stderr: text(io.stderr) };
}

const written = { output: "runs/best.effective.pth", tensors: 1128, bytes: 1_130_000, masked: ["conv1.weight"] };

beforeEach(() => {
  exportFile.mockReset();
  exportFile.mockResolvedValue(written);
});

describe("peekaboo export", () => {
  it("writes the effective state for PyTorch and tells how to load it", async () => {
    expect(await peekaboo("runs/best.safetensors")).toEqual({
      status: 0,
      stdout:
        "Wrote runs/best.effective.pth: 1,128 tensors (pruned weights as zeros), 1.1 MB.\n" +
        'In Python: import torch; model.load_state_dict(torch.load("runs/best.effective.pth", weights_only=True))\n',
      stderr: "",
    });
    const defaults = { format: "pth", output: null, raw: false, force: false };
    expect(exportFile.mock.lastCall?.slice(0, 2)).toMatchObject(["runs/best.safetensors", defaults]);
  });

  it("hands its flags on, and tells how to use masks", async () => {
    exportFile.mockResolvedValue({ ...written, output: "x.st" });
    const { stdout } = await peekaboo("f", "--format", "SafeTensors", "--output", "x.st", "--raw", "--force");
    const flags = { format: "safetensors", output: "x.st", raw: true, force: true };
    expect(exportFile.mock.lastCall?.[1]).toMatchObject(flags);
    expect(stdout).toContain("tensors (weights and masks)");
    expect(stdout).toContain(
      'In Python: from safetensors.torch import load_file; state = load_file("x.st"); ' +
        'weight = state["mask.conv1.weight"] * state["conv1.weight"]\n',
    );
  });

  it("speaks of no masks where there are none", async () => {
    exportFile.mockResolvedValue({ ...written, masked: [] });
    expect((await peekaboo("f")).stdout).toContain("1,128 tensors, 1.1 MB.");
    expect((await peekaboo("f", "--raw")).stdout).toMatch(/state = torch\.load\("[^"]+", weights_only=True\)\n$/);
  });

  it.each([
    [["f", "--format", "tflite"], '--format, received "tflite"'],
    [["f", "--format", "safetensor"], "did you mean safetensors?"],
    [[], "missing required argument 'file'"],
    [["f", "g"], 'unexpected "g"'],
  ])("refuses %j", async (argv, words) => {
    const { status, stderr } = await peekaboo(...argv);
    expect(status).toBe(2);
    expect(stderr).toContain(words);
    expect(stderr.trimEnd()).not.toContain("\n");
    expect(exportFile).not.toHaveBeenCalled();
  });

  it("tells in one sentence why a file can't be exported", async () => {
    exportFile.mockRejectedValue(
      new UserError({ operation: "export", argument: "--output", expected: "a new file", received: "another" }),
    );
    const { status, stdout, stderr } = await peekaboo("f");
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toBe("export: expected a new file for --output, received another.\n");
  });
});
