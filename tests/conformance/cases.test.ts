import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "@peekaboo/files/errors";
import { describe, expect } from "vitest";
import { it } from "../support/folder.js";
import { readCases } from "./cases.js";

const write = (folder: string, name: string, text: string) => writeFileSync(join(folder, name), text);

describe("readCases", () => {
  it("lists cases.json and then architectures.json, each in its order", ({ folder }) => {
    const definition = { name: "q", kind: "quantize", params: {}, file: "q.safetensors", tolerance: 1e-6 };
    write(folder, "cases.json", JSON.stringify([definition]));
    write(
      folder,
      "architectures.json",
      '{"salt":"s","architectures":{"B:none":{"arch":"B","salt":"x"},"A":{"arch":"A"}}}',
    );
    expect(readCases(folder)).toEqual([
      { name: "q", definition },
      { name: "B:none", definition: { kind: "architecture", params: { arch: "B", salt: "s" }, tolerance: 1e-3 } },
      { name: "A", definition: { kind: "architecture", params: { arch: "A", salt: "s" }, tolerance: 1e-3 } },
    ]);
  });

  it("is content with either file", ({ folder }) => {
    write(folder, "architectures.json", '{"salt":"","architectures":{}}');
    expect(readCases(folder)).toEqual([]);
    rmSync(join(folder, "architectures.json"));
    write(folder, "cases.json", "[]");
    expect(readCases(folder)).toEqual([]);
  });

  it("gives every case a name that fits in a line", ({ folder }) => {
    write(folder, "cases.json", JSON.stringify([{ name: "two\nlines \u001b[31m" }, { name: 7 }, { name: "" }, null]));
    expect(readCases(folder).map(({ name }) => name)).toEqual([
      "two_lines_[31m",
      "cases.json[1]",
      "cases.json[2]",
      "cases.json[3]",
    ]);
  });

  it("refuses a folder with neither file, and one that is not there", ({ folder }) => {
    expect(() => readCases(folder)).toThrow(/expected a folder with cases.json or architectures.json .* with neither/);
    expect(() => readCases(join(folder, "none"))).toThrow(/no such folder/);
  });

  it.for([
    ["cases.json", '[{"name":', "JSON"],
    ["cases.json", '{"name":"a"}', "cases.json"],
    ["architectures.json", "[]", "architectures.json"],
    ["architectures.json", '{"architectures":{}}', "architectures.json.salt"],
  ] as const)("refuses a %s of %s", ([name, text, fault], { folder }) => {
    write(folder, name, text);
    expect(() => readCases(folder)).toThrow(UserError);
    expect(() => readCases(folder)).toThrow(fault);
  });
});
