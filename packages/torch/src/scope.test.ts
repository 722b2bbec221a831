import { describe, expect, it } from "vitest";
import { keep, liveTensorCount, scope } from "./scope.js";
import { Tensor } from "./tensor.js";

describe("scope", () => {
  it("frees what is made inside and not returned", () => {
    const before = liveTensorCount();
    const { kept, list } = scope(() => {
      const inner = Tensor.of([1]);
      return { kept: inner.add(1), list: [inner.add(2), new Map([["a", inner.add(3)]])] as const };
    });
    expect(liveTensorCount()).toBe(before + 3);
    expect([kept.item(), list[0].item(), list[1].get("a")?.item()]).toEqual([2, 3, 4]);
    for (const tensor of [kept, list[0], list[1].get("a")]) tensor?.dispose();
    expect(liveTensorCount()).toBe(before);
  });

  it("hands what is returned to the scope around", () => {
    const before = liveTensorCount();
    scope(() => {
      const inner = scope(() => Tensor.of([1]));
      expect(inner.isDisposed).toBe(false);
    });
    expect(liveTensorCount()).toBe(before);
  });

  it("frees when the body throws, and refuses a promise", () => {
    const before = liveTensorCount();
    expect(() =>
      scope(() => {
        Tensor.of([1]);
        throw new Error("inside");
      }),
    ).toThrow("inside");
    expect(() => scope(async () => Tensor.of([1]))).toThrow("received a promise");
    expect(liveTensorCount()).toBe(before);
  });

  it("leaves what is kept until it is disposed of, once or more often", () => {
    const tensor = scope(() => {
      keep(Tensor.of([7])).add(1);
      return null;
    });
    expect(tensor).toBeNull();
    const kept = scope(() => [keep(Tensor.of([7]))]);
    expect(kept[0]?.item()).toBe(7);
    kept[0]?.dispose();
    kept[0]?.dispose();
    expect(kept[0]?.isDisposed).toBe(true);
    expect(() => kept[0]?.item()).toThrow("disposed of");
  });
});
