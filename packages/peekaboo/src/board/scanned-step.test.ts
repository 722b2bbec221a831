import { expect, it } from "vitest";
import { someSteps } from "./runs.support.js";
import { StepScanner } from "./scanned-step.js";

const scanned = (text: string) => new StepScanner(Buffer.from(text)).scan(0);

it("reads what JSON.parse does, to fifteen digits", () => {
  for (const step of someSteps(1, 2000)) {
    const found = scanned(`${JSON.stringify(step)}\n`);
    expect(Object.keys(found ?? {})).toEqual(Object.keys(step));
    for (const [name, value] of Object.entries(step)) {
      const own: unknown = found?.[name as keyof typeof step];
      if (typeof value === "number") expect(Math.abs(Number(own) - value)).toBeLessThanOrEqual(1e-14 * Math.abs(value));
      else expect(own).toBe(value);
    }
  }
});

const [step] = someSteps(7, 7);
const line = JSON.stringify(step);

it.each([
  ["-1.5e-3", -0.0015],
  ["2E+2", 200],
  ["0", 0],
  ["12345678901234567890", 12345678901234567000],
])("reads %s", (text, value) => {
  expect(scanned(`${line.replace(/"loss":[^,]+/, `"loss":${text}`)}\n`)?.loss).toBeCloseTo(value, 12);
});

it.each([
  ["is only begun", line],
  ["has another order", `${JSON.stringify({ step: 1, ...step })}\n`],
  ["has more than is known", `${line.slice(0, -1)},"more":1}\n`],
  ["has no number", `${line.replace(/"loss":[^,]+/, '"loss":null')}\n`],
  ["has a number that is too large", `${line.replace(/"loss":[^,]+/, '"loss":1e999')}\n`],
  ["is of another kind", `${line.replace('"step"', '"epoch"')}\n`],
  ["is empty", "\n"],
])("leaves to others a line that %s", (_, text) => {
  expect(scanned(text)).toBeNull();
});
