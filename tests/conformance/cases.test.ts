import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UserError } from "@peekaboo/files/errors";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readCases } from "./cases.js";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "peekaboo-cases-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const write = (name: string, text: string) => writeFileSync(join(folder, name), text);

describe("readCases", () => {
  it("lists cases.json and then architectures.json, each in its order", () => {
    const definition = { name: "q", kind: "quantize", params: {}, file: "q.safetensors", tolerance: 1e-6 };
    write("cases.json", JSON.stringify([definition]));
    write("architectures.json", '{"salt":"s","architectures":{"B:none":{"arch":"B","salt":"x"},"A":{"arch":"A"}}}');
    expect(readCases(folder)).toEqual([
      { name: "q", definition },
      { name: "B:none", definition: { kind: "architecture", params: { arch: "B", salt: "s" }, tolerance: 1e-3 } },
      { name: "A", definition: { kind: "architecture", params: { arch: "A", salt: "s" }, tolerance: 1e-3 } },
    ]);
  });

  it("is content with either file", () => {
    write("architectures.json", '{"salt":"","architectures":{}}');
    expect(readCases(folder)).toEqual([]);
    rmSync(join(folder, "architectures.json"));
    write("cases.json", "[]");
    expect(readCases(folder)).toEqual([]);
  });

  it("gives every case a name that fits in a line", () => {
    write("cases.json", JSON.stringify([{ name: "two\nlines \u001b[31m" }, { name: 7 }, { name: "" }, null]));
    expect(readCases(folder).map(({ name }) => name)).toEqual([
      "two_lines_[31m",
      "cases.json[1]",
      "cases.json[2]",
      "cases.json[3]",
    ]);
  });

  it("refuses a folder with neither file, and one that is not there", () => {
    expect(() => readCases(folder)).toThrow(/expected a folder with cases.json or architectures.json .* with neither/);
    expect(() => readCases(join(folder, "none"))).toThrow(/no such folder/);
  });

  it.each([
    ["cases.json", '[{"name":', "JSON"],
    ["cases.json", '{"name":"a"}', "cases.json"],
    ["architectures.json", "[]", "architectures.json"],
    ["architectures.json", '{"architectures":{}}', "architectures.json.salt"],
  ])("refuses a %s of %s", (name, text, fault) => {
    write(name, text);
    expect(() => readCases(folder)).toThrow(UserError);
    expect(() => readCases(folder)).toThrow(fault);
  });
});
