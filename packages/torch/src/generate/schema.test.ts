import { describe, expect, it } from "vitest";
import { parseSchema } from "./schema.js";

const plain = { optional: false, hasDefault: false, keywordOnly: false, writes: undefined };

describe("parseSchema", () => {
  it("reads names, types, defaults, and what comes after the star", () => {
    expect(parseSchema("aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor")).toEqual({
      name: "aten::add.Tensor",
      arguments: [
        { ...plain, type: "Tensor", name: "self" },
        { ...plain, type: "Tensor", name: "other" },
        { ...plain, type: "Scalar", name: "alpha", hasDefault: true, keywordOnly: true },
      ],
      returns: [{ ...plain, type: "Tensor", name: "" }],
    });
  });

  it("reads lists, options, lists of options, and symbolic integers as integers", () => {
    const types = (text: string) =>
      parseSchema(`x::f(${text} a) -> ()`).arguments.map(({ type, optional }) => [type, optional]);
    expect(types("int[2]?")).toEqual([["int[2]", true]]);
    expect(types("Tensor?[]")).toEqual([["Tensor?[]", false]]);
    expect(types("SymInt[]")).toEqual([["int[]", false]]);
    expect(types("SymInt?")).toEqual([["int", true]]);
    expect(types("Tensor(a!)[]")).toEqual([["Tensor[]", false]]);
  });

  it("tells what is written to from what is only viewed", () => {
    const { arguments: args, returns } = parseSchema(
      "x::f_(Tensor(a!) self, Tensor(b) v, Tensor(c!)? o) -> Tensor(a!)",
    );
    expect(args.map(({ writes, optional }) => [writes, optional])).toEqual([
      ["a", false],
      [undefined, false],
      ["c", true],
    ]);
    expect(returns[0]?.writes).toBe("a");
    expect(parseSchema("aten::split.Tensor(Tensor(a -> *) self, int n) -> Tensor(a)[]").returns[0]?.type).toBe(
      "Tensor[]",
    );
  });

  it("keeps commas and brackets inside quotes and defaults", () => {
    const { arguments: args } = parseSchema(`x::f(str a="), ]", int[2] b=[0, 1], float c=0.5) -> (Tensor q, Tensor)`);
    expect(args.map(({ name }) => name)).toEqual(["a", "b", "c"]);
  });

  it("reads several, named and no returns", () => {
    const returns = (text: string) => parseSchema(`x::f() -> ${text}`).returns.map(({ type, name }) => [type, name]);
    expect(returns("(Tensor values, int)")).toEqual([
      ["Tensor", "values"],
      ["int", ""],
    ]);
    expect(returns("()")).toEqual([]);
  });

  it("refuses what is no schema", () => {
    for (const text of ["", "aten::add", "f(Tensor) Tensor", "f(123) -> Tensor"]) {
      expect(() => parseSchema(text), text).toThrow(SyntaxError);
    }
  });
});
