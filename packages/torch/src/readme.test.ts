import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, expect, it, vi } from "vitest";

const example = fileURLToPath(new URL("./readme-example.generated.ts", import.meta.url));
afterAll(() => rmSync(example, { force: true }));

it("the README's example has at most twenty lines, trains, and gets nearly all points right", async () => {
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  const code = /```ts\n([\s\S]*?)```/.exec(readme)?.[1] ?? "";
  expect(code.trim().split("\n").length).toBeLessThanOrEqual(20);
  writeFileSync(example, code);
  const told = vi.spyOn(console, "log").mockImplementation(() => {});
  await import(/* @vite-ignore */ example);
  const text = String(told.mock.calls[0]?.[0]);
  told.mockRestore();
  expect(Number(/^([\d.]+) % right, the centre is inside$/.exec(text)?.[1])).toBeGreaterThan(90);
});
