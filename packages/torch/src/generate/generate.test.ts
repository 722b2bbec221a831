import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { torchVersion } from "../runtime.js";
import { generateTorchOps, parseSchema } from "./index.js";

describe("generated operators", () => {
  it("match the schemas of the libtorch that is loaded", () => {
    const checkedIn = readFileSync(new URL("../generated/ops.ts", import.meta.url), "utf8");
    const functions = (text: string) => text.split("\n").filter((line) => line.startsWith("export function"));
    const why = `run \`npm run generate\`: made from another libtorch than ${torchVersion()}, or from another list`;
    expect(functions(generateTorchOps()), why).toEqual(functions(checkedIn));
  });
});

describe("reading a schema", () => {
  it("tells types, defaults, keyword-only arguments and what is written to", () => {
    const schema = parseSchema("aten::add_.Tensor(Tensor(a!) self, Tensor? other, *, Scalar alpha=1) -> Tensor(a!)");
    expect(schema.name).toBe("aten::add_.Tensor");
    expect(
      schema.arguments.map(({ type, optional, name, hasDefault, keywordOnly, writes }) => [
        type,
        optional,
        name,
        hasDefault,
        keywordOnly,
        writes,
      ]),
    ).toEqual([
      ["Tensor", false, "self", false, false, "a"],
      ["Tensor", true, "other", false, false, undefined],
      ["Scalar", false, "alpha", true, true, undefined],
    ]);
    expect(schema.returns[0]?.writes).toBe("a");
  });

  it("takes symbolic integers for integers, and several returns", () => {
    const schema = parseSchema('aten::split(SymInt[2] sizes, str mode="a") -> (Tensor values, int[] counts)');
    expect(schema.arguments.map(({ type }) => type)).toEqual(["int[2]", "str"]);
    expect(schema.returns.map(({ type, name }) => [type, name])).toEqual([
      ["Tensor", "values"],
      ["int[]", "counts"],
    ]);
  });
});
