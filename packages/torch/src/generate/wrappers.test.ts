import { describe, expect, it } from "vitest";
import { generateWrappers } from "./wrappers.js";

/** The function that a schema becomes, without the lines around it. */
function wrapper(schema: string): string {
  const text = generateWrappers(new Map([["f", schema]]), { header: "import x;" });
  return text.slice(text.indexOf("export function f"));
}

describe("generateWrappers", () => {
  it("makes keyword-only arguments an options object, and passes all in the schema's order", () => {
    expect(wrapper("x::f(Tensor self, *, Scalar alpha=1, ScalarType? dtype=None) -> Tensor")).toBe(
      [
        "export function f(self: Tensor, options: { alpha?: number | boolean | undefined; dtype?: Dtype | null | undefined } = {}): Tensor {",
        "  return new Tensor(fOp.call(self.handle, options.alpha, options.dtype) as Handle);",
        "}",
        "",
      ].join("\n"),
    );
    expect(wrapper("x::f(Tensor self, *, int n) -> int")).toContain("options: { n: number }): number {");
  });

  it("hands over optional tensors and lists of tensors", () => {
    const text = wrapper("x::f(Tensor? a, Tensor[] b, Tensor?[] c, int[2] d=1, int[] e=[]) -> Tensor[]");
    expect(text).toContain(
      "f(a: Tensor | null, b: readonly Tensor[], c: readonly (Tensor | null)[], d?: number | readonly number[], e?: readonly number[]): Tensor[]",
    );
    expect(text).toContain("fOp.call(handleOf(a), b.map((tensor) => tensor.handle), c.map(handleOf), d, e)");
  });

  it("returns the argument of an in-place operator, tuples, and null where a gradient may be left out", () => {
    expect(wrapper("x::f(Tensor(a!) self) -> Tensor(a!)")).toContain("  fOp.call(self.handle);\n  return self;");
    expect(wrapper("x::f(Tensor a) -> (Tensor, int)")).toContain(
      "return [new Tensor(results[0] as Handle), results[1] as number];",
    );
    expect(wrapper("x::f(Tensor a, bool[3] output_mask) -> (Tensor, Tensor)")).toContain(
      ": [Tensor | null, Tensor | null]",
    );
    expect(wrapper("x::f(Tensor a) -> ()")).toContain("): void {\n  fOp.call(a.handle);");
  });

  it("leaves out what is not for TypeScript, and renames reserved and snake-case names", () => {
    const text = wrapper(
      "x::f(Tensor self, int in, float max_norm, Generator? generator=None, Layout? layout=None) -> Tensor",
    );
    expect(text).toContain("f(self: Tensor, inValue: number, maxNorm: number): Tensor");
    expect(text).toContain("fOp.call(self.handle, inValue, maxNorm)");
  });

  it("refuses a type that it does not know", () => {
    expect(() => wrapper("x::f(Dict(int, Tensor) d) -> Tensor")).toThrow("expected a known type, received Dict d");
    expect(() => wrapper("x::f(Storage s) -> Tensor")).toThrow("expected a known type, received Storage s");
  });
});
