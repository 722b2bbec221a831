import { describe, expect, it } from "vitest";
import { parseJson } from "./json.js";

const read = (text: string) => parseJson(text, (received) => new Error(`received ${received}`));

describe("parseJson", () => {
  it("reads what JSON.parse reads", () => {
    const text = '{"a": [1, {"b": "]]]]\\"[[[["}], "\\\\": null, "__proto__": 2}';
    expect(read(text)).toEqual(JSON.parse(text));
    expect(read(`${"[".repeat(64)}1${"]".repeat(64)}`)).toEqual(JSON.parse(`${"[".repeat(64)}1${"]".repeat(64)}`));
    expect(read(`"${"[".repeat(100_000)}"`)).toHaveLength(100_000);
    expect(read(`[${"[],".repeat(1000)}{}]`)).toHaveLength(1001);
  });

  it.each([
    ["arrays", "[".repeat(100_000) + "]".repeat(100_000)],
    ["objects", `${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}`],
    ["brackets that never close", "[{".repeat(1_000_000)],
    ["one level too many", "[".repeat(65) + "]".repeat(65)],
  ])("refuses deep %s", (_, text) => {
    expect(() => read(text)).toThrow("received JSON nested more than 64 deep");
  });

  it("refuses other text without quoting it", () => {
    expect(() => read("\u001b]0;x")).toThrow(/^received text that is not JSON$/);
    expect(() => read('"unclosed \\')).toThrow("received text that is not JSON");
    expect(() => read("]]]]")).toThrow("received text that is not JSON");
    expect(() => read(" ")).toThrow("received text that is not JSON");
    expect(() => read(`"${"x".repeat(2 ** 26)}"`)).toThrow("received 67108866 characters");
  });
});
