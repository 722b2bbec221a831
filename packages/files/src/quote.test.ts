import { describe, expect, it } from "vitest";
import { UserError } from "./errors.js";
import { printable, quoted } from "./quote.js";

/** Of each kind that could steer a terminal, hide text or turn it around. */
const UNSAFE = [
  "\0",
  "\u0007",
  "\u001b]0;title\u0007",
  "\u007f",
  "\u009b31m",
  "\u202e",
  "\u2066",
  "\ufeff",
  "\u2028",
  "\ud800",
];

describe("quoted", () => {
  it("quotes ordinary text, other scripts included, as it is", () => {
    expect(quoted("layer1.0.conv1.weight")).toBe('"layer1.0.conv1.weight"');
    expect(quoted('a "b" \\ é 層 😀')).toBe('"a \\"b\\" \\\\ é 層 😀"');
  });

  it("escapes what could steer a terminal or hide text", () => {
    expect(quoted("a\n\u001b[2J")).toBe('"a\\n\\u001b[2J"');
    expect(quoted("\u009b\u202e\u2028\ud800")).toBe('"\\u{9b}\\u{202e}\\u{2028}\\ud800"');
    expect(quoted("\u{e0001}")).toBe('"\\u{e0001}"');
  });

  it("cuts a long text and says so", () => {
    expect(quoted("abcdef", 3)).toBe('"abc…"');
    expect(quoted("abc", 3)).toBe('"abc"');
    expect(quoted("x".repeat(500))).toHaveLength(202);
  });

  it("shows both ends of a long path", () => {
    const path = `/home/me/${"deep/".repeat(100)}checkpoint.safetensors`;
    expect(quoted(path)).toMatch(/^"\/home\/me\/deep\/.*…[dep/]+\/checkpoint\.safetensors"$/);
    expect(quoted(path)).toHaveLength(202);
  });

  it("counts what an escape takes", () => {
    expect(quoted("\u001b".repeat(150)).length).toBeLessThanOrEqual(202);
    expect(quoted("\u001b".repeat(50_000_000)).length).toBeLessThanOrEqual(202);
    expect(quoted("😀".repeat(1000)).length).toBeLessThanOrEqual(202);
    expect(quoted('"'.repeat(150))).toMatch(/^"(\\"){66}…(\\"){33}"$/);
  });
});

describe("printable", () => {
  it("leaves ordinary text as it is, quotes and backslashes too", () => {
    expect(printable('C:\\runs\\"a" é 層 😀')).toBe('C:\\runs\\"a" é 層 😀');
  });

  it("lets nothing through that could steer a terminal", () => {
    for (const text of UNSAFE) expect(printable(text) + quoted(text)).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
  });
});

describe("UserError", () => {
  it("is one printable line of bounded length, whatever its parts hold", () => {
    const huge = `\u001b]0;owned\u0007\n${"x".repeat(50_000_000)}`;
    const parts = { operation: huge, argument: huge, expected: huge, received: huge, remedy: huge };
    const { message } = new UserError(parts);
    expect(message).not.toMatch(/\p{C}/u);
    expect(message).toContain("\\u001b]0;owned\\u0007\\n");
    expect(message.length).toBeLessThan(5200);
  });
});
