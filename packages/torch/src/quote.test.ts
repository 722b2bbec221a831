import { expect, it } from "vitest";
import { quoted } from "./quote.js";

it("quotes ordinary text, other scripts included, as it is", () => {
  expect(quoted("layer1.0.conv1.weight")).toBe('"layer1.0.conv1.weight"');
  expect(quoted('a "b" \\ é 層')).toBe('"a \\"b\\" \\\\ é 層"');
});

it("escapes what could steer a terminal or hide text", () => {
  expect(quoted("a\n\u001b[2J")).toBe('"a\\n\\u001b[2J"');
  expect(quoted("\u009b\u202e")).toBe('"\\u{9b}\\u{202e}"');
});

it("cuts a long text and says so", () => {
  expect(quoted("abcdef", 3)).toBe('"abc…"');
  expect(quoted("abc", 3)).toBe('"abc"');
  expect(quoted("x".repeat(500))).toHaveLength(83);
});
