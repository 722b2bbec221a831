import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { torchVersion } from "../runtime.js";
import { schemaDifference, schemasIn } from "./compare.js";
import { generateTorchOps, liveSchemas } from "./index.js";
import { OPERATORS } from "./list.js";

const checkedIn = readFileSync(new URL("../generated/ops.ts", import.meta.url), "utf8");
const version = /^\/\/ libtorch (\S+)$/m.exec(checkedIn)?.[1] ?? "none";

describe("generated/ops.ts", () => {
  it.runIf(version === torchVersion())("is what the live schemas give (`npm run generate` writes it)", () => {
    expect(generateTorchOps()).toBe(checkedIn);
  });

  // Another libtorch prints some schemas otherwise; what counts is that the wrappers still fit.
  it(`fits libtorch ${torchVersion()}, though it was generated from ${version}`, () => {
    const written = schemasIn(checkedIn);
    const differences = [...liveSchemas(OPERATORS).values()].map((live) => {
      const name = live.slice(0, live.indexOf("("));
      const difference = schemaDifference(written.get(name) ?? "x::absent() -> ()", live);
      return difference === undefined ? undefined : `${name}: ${difference}`;
    });
    expect(
      differences.filter((difference) => difference !== undefined),
      `libtorch ${torchVersion()} has other schemas than ${version}: run \`npm run generate\``,
    ).toEqual([]);
    expect(written.size).toBe(Object.keys(OPERATORS).length);
  });
});

describe("schemasIn", () => {
  it("finds the schemas in doc comments", () => {
    expect([...schemasIn("/** x::f.a(Tensor t) -> Tensor */\nexport function f()\n/** other */\n")]).toEqual([
      ["x::f.a", "x::f.a(Tensor t) -> Tensor"],
    ]);
  });
});

describe("schemaDifference", () => {
  const before = "x::f(Tensor self, int[] size, *, int n=1) -> Tensor";

  it.each([
    ["the same", before],
    ["symbolic integers", "x::f(Tensor self, SymInt[] size, *, SymInt n=1) -> Tensor"],
    ["another default", "x::f(Tensor self, int[] size, *, int n=2) -> Tensor"],
    ["a further argument with a default", "x::f(Tensor self, int[] size, *, int n=1, bool b=False) -> Tensor"],
    ["another view annotation", "x::f(Tensor(a) self, int[] size, *, int n=1) -> Tensor(a)"],
  ])("is none with %s", (_, live) => {
    expect(schemaDifference(before, live)).toBeUndefined();
  });

  it.each([
    ["x::f(Tensor self, int[] shape, *, int n=1) -> Tensor", 'argument 2 was "int[] size", is "int[] shape"'],
    ["x::f(Tensor self, int[]? size, *, int n=1) -> Tensor", 'argument 2 was "int[] size", is "int[]? size"'],
    ["x::f(Tensor self, int[] size) -> Tensor", 'argument 3 was "int n", is none'],
    [
      "x::f(Tensor(a!) self, int[] size, *, int n=1) -> Tensor",
      'argument 1 was "Tensor self", is "Tensor (written) self"',
    ],
    ["x::f(Tensor self, int[] size, *, int n=1, int m) -> Tensor", 'a new argument "int m" has no default'],
    ["x::f(Tensor self, int[] size, *, int n=1) -> (Tensor, int)", "it returned (Tensor), returns (Tensor, int)"],
  ])("tells of %s", (live, difference) => {
    expect(schemaDifference(before, live)).toBe(difference);
  });
});
