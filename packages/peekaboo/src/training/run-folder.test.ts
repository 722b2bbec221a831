import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openRunFolder, type RunFolder, removeEarlier } from "./run-folder.js";

let savedir: string;
let folder: RunFolder;
beforeEach(() => {
  savedir = mkdtempSync(join(tmpdir(), "peekaboo-run-folder-"));
  folder = openRunFolder({ savedir, expName: "run" });
});
afterEach(() => rmSync(savedir, { recursive: true, force: true }));

const fill = (...names: string[]) => {
  for (const name of names) writeFileSync(join(folder.path, name), name);
};

describe("an earlier run's networks", () => {
  it("are removed, and nothing else", () => {
    fill("checkpoint.safetensors", "checkpoint-12.safetensors", "best.safetensors", "pruned.safetensors");
    fill("metrics.jsonl", "mine.safetensors", "checkpoint-x.safetensors");
    expect(removeEarlier(folder)).toBe(true);
    expect(readdirSync(folder.path).sort()).toEqual(["checkpoint-x.safetensors", "metrics.jsonl", "mine.safetensors"]);
  });

  it("stay where the new run begins from them, however that is written", () => {
    fill("pruned.safetensors", "best.safetensors");
    expect(removeEarlier(folder, [null, undefined, relative(process.cwd(), folder.pruned)])).toBe(false);
    expect(existsSync(folder.pruned)).toBe(true);
    expect(existsSync(folder.best)).toBe(false);
  });
});
