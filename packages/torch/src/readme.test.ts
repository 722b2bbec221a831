import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { sharedFolder } from "../../../tests/support/folder.js";

const folder = sharedFolder();

it("the README's example, in at most 20 lines, learns what it says", async () => {
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  const example = /^```ts\n(.*?)^```$/ms.exec(readme)?.[1] ?? "";
  const lines = example.split("\n").filter((line) => line.trim() !== "");
  expect(lines.length).toBeGreaterThan(10);
  expect(lines.length).toBeLessThanOrEqual(20);
  const promised = /console\.log\(.*\/\/ (.*)$/.exec(lines.at(-1) ?? "")?.[1];

  const path = join(folder, "example.ts");
  writeFileSync(path, example);
  const log = vi.spyOn(console, "log").mockReturnValue();
  await import(path);
  const printed = log.mock.calls.map(([line]) => String(line));
  log.mockRestore();

  expect(printed.at(-1)).toBe(promised);
  const losses = printed.slice(0, -1).map((line) => Number(/^step \d+: loss ([\d.]+)$/.exec(line)?.[1]));
  expect(losses).toHaveLength(4);
  expect(losses.at(-1)).toBeLessThan(0.05);
});
