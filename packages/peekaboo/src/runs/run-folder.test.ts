import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { describe, expect } from "vitest";
import { it } from "../../../../tests/support/folder.js";
import { SPECIAL_FILES } from "../../../../tests/support/special-files.js";
import { nextEventFile, openRunFolder, type RunFolder, removeEarlier, removeUnfinished } from "./run-folder.js";

let folder: RunFolder;
it.beforeEach(({ folder: savedir }) => {
  folder = openRunFolder({ savedir, expName: "run" });
});

const fill = (...names: string[]) => {
  for (const name of names) writeFileSync(join(folder.path, name), name);
};

describe("an earlier run's networks and figures", () => {
  it("are removed, and nothing else", () => {
    fill("checkpoint.safetensors", "checkpoint-12.safetensors", "best.safetensors", "pruned.safetensors");
    fill("steps.csv", "epochs.csv", "events.out.tfevents.1700000000.peekaboo", "events.out.tfevents.1700000000.host");
    fill("metrics.jsonl", "mine.safetensors", "checkpoint-x.safetensors");
    expect(removeEarlier(folder)).toBe(true);
    expect(readdirSync(folder.path).sort()).toEqual([
      "checkpoint-x.safetensors",
      "events.out.tfevents.1700000000.host",
      "metrics.jsonl",
      "mine.safetensors",
    ]);
  });

  it("stay where the new run begins from them, however that is written", () => {
    fill("pruned.safetensors", "best.safetensors");
    expect(removeEarlier(folder, [null, undefined, relative(process.cwd(), folder.pruned)])).toBe(false);
    expect(existsSync(folder.pruned)).toBe(true);
    expect(existsSync(folder.best)).toBe(false);
  });
});

it("a file of events has a name after those that are there, also within a second", () => {
  const name = (now: number) => basename(nextEventFile(folder, now));
  expect(name(1_700_000_000.9)).toBe("events.out.tfevents.1700000000.peekaboo");
  fill("events.out.tfevents.1700000000.peekaboo", "events.out.tfevents.1700000007.peekaboo");
  expect(name(1_700_000_000.9)).toBe("events.out.tfevents.1700000008.peekaboo");
  expect(name(1_800_000_000)).toBe("events.out.tfevents.1800000000.peekaboo");
});

describe("a run folder", () => {
  const FILES = ["config.json", "metrics.jsonl", "checkpoint.safetensors", "best.safetensors", "pruned.safetensors"];
  const NO_FILES = Object.keys(SPECIAL_FILES).filter((kind) => kind !== "a link to nothing");

  it.for([...FILES, "run.svg", "steps.csv", "checkpoint-7.safetensors"])(
    "is refused where %s is no file",
    (name, { folder: savedir }) => {
      for (const kind of NO_FILES) {
        const path = join(folder.path, name);
        SPECIAL_FILES[kind]?.(path);
        expect(() => openRunFolder({ savedir, expName: "run" })).toThrow(
          /^train: expected (a regular file|links that lead to a file) for .*; remove what is there, .* `savedir` or `expName`\.$/,
        );
        rmSync(path, { recursive: true });
      }
    },
  );

  it("isn't made where nothing can be made", ({ folder: savedir }) => {
    writeFileSync(join(savedir, "file"), "");
    for (const nowhere of ["/proc", "/sys", "/dev/null", join(savedir, "file"), join(savedir, "n".repeat(256))]) {
      expect(() => openRunFolder({ savedir: nowhere, expName: "x" })).toThrow(/^train: expected .* or `expName`\.$/);
    }
  });

  it("keeps a folder that is called like an unfinished file", () => {
    mkdirSync(join(folder.path, ".writing-1-a.tmp"));
    fill(".writing-2-b.tmp");
    removeUnfinished(folder);
    expect(readdirSync(folder.path)).toEqual([".writing-1-a.tmp"]);
  });
});
