import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect } from "vitest";
import { it } from "../../../../tests/support/folder.js";
import { parseConfig } from "../config/config.js";
import { lastStepIn, stepsOf } from "./study-progress.js";

describe("stepsOf", () => {
  it.each([
    [{ epochs: 2, trainLimit: 100, batchSize: 32 }, 8],
    [{ epochs: 2, trainLimit: 100, batchSize: 32, maxSteps: 5 }, 5],
    [{ epochs: 1 }, 391],
    [{ dataset: "imagefolder", data: "x" }, null],
  ])("of %j is %j", (json, steps) => {
    expect(stepsOf(parseConfig(json))).toBe(steps);
  });
});

describe("lastStepIn", () => {
  it("finds the last step, also before a torn line, and 0 where there is none", ({ folder }) => {
    const path = join(folder, "metrics.jsonl");
    expect(lastStepIn(path)).toBe(0);
    writeFileSync(
      path,
      `{"kind":"step","epoch":0,"step":7,"loss":1}\n${"x".repeat(9000)}\n{"kind":"step","step":12,"lo`,
    );
    expect(lastStepIn(path)).toBe(12);
  });
});
