import { UserError } from "@peekaboo/files/errors";
import { describe, expect, it } from "vitest";
import { keep, liveTensorCount, scope } from "./scope.js";
import { ones, type Tensor } from "./tensor.js";

/** How many more tensors live after `body` than before. */
function gained(body: () => unknown): number {
  const before = liveTensorCount();
  body();
  return liveTensorCount() - before;
}

describe("scope", () => {
  it("frees what is made inside and not returned", () => {
    expect(
      gained(() => {
        const result = scope(() => ones([2]).add(1).mul(3).toArray());
        expect(result).toEqual([6, 6]);
      }),
    ).toBe(0);
  });

  it("gives what is returned to the scope around it, whatever it is wrapped in", () => {
    const wrap: ((tensor: Tensor) => unknown)[] = [
      (tensor) => tensor,
      (tensor) => [[tensor]],
      (tensor) => ({ a: { b: tensor } }),
      (tensor) => Object.assign(Object.create(null), { tensor }),
      (tensor) => new Map([["key", [tensor]]]),
      (tensor) => new Set([tensor]),
    ];
    for (const wrapped of wrap) {
      expect(
        gained(() => {
          scope(() => {
            let inner: Tensor | undefined;
            scope(() => {
              inner = ones([1]);
              return wrapped(inner);
            });
            expect(inner?.isDisposed).toBe(false);
          });
        }),
      ).toBe(0);
    }
  });

  it("returns tensors that no scope is around, and leaves older ones alone", () => {
    const older = ones([1]);
    const sum = scope(() => {
      const own = older.add(1);
      return [own, older] as const;
    });
    expect(sum.map((tensor) => tensor.isDisposed)).toEqual([false, false]);
    for (const tensor of sum) tensor.dispose();
  });

  it("does not look for tensors in arrays of numbers, class instances and cycles", () => {
    class Holder {
      constructor(readonly tensor: Tensor) {}
    }
    scope(() => {
      const cycle: unknown[] = [ones([1])];
      cycle.push(cycle);
      expect(scope(() => cycle)).toBe(cycle);
      expect(scope(() => new Holder(ones([1]))).tensor.isDisposed).toBe(true);
      expect(scope(() => new Float32Array(3))).toHaveLength(3);
      expect(scope(() => null)).toBeNull();
    });
  });

  it("frees everything when the body throws, and the error passes", () => {
    const mine = new RangeError("mine");
    const throwing = () =>
      scope(() => {
        ones([1]);
        scope(() => {
          ones([1]);
          throw mine;
        });
      });
    expect(gained(() => expect(throwing).toThrow(mine))).toBe(0);
    scope(() => expect(ones([1]).isDisposed).toBe(false));
  });

  it("refuses a promise, whose tensors would outlive it", () => {
    const body = () => scope(async () => ones([1]));
    expect(gained(() => expect(body).toThrow(UserError))).toBe(0);
    expect(body).toThrow("scope: expected a synchronous function for the body, received one that returns a promise");
  });

  it("bears tensors that were disposed of inside", () => {
    expect(gained(() => scope(() => ones([1]).dispose()))).toBe(0);
    expect(scope(() => 3)).toBe(3);
  });
});

describe("keep", () => {
  it("takes a tensor out of every scope", () => {
    let kept: Tensor | undefined;
    scope(() => {
      scope(() => {
        kept = keep(ones([1]));
      });
    });
    expect(kept?.isDisposed).toBe(false);
    kept?.dispose();
    expect(kept?.isDisposed).toBe(true);
  });
});

describe("liveTensorCount", () => {
  it("counts handles, each view one, and each once", () => {
    const tensor = ones([2]);
    expect(gained(() => tensor.select(0, 0))).toBe(1);
    expect(
      gained(() => {
        tensor.dispose();
        tensor.dispose();
      }),
    ).toBe(-1);
  });

  it("falls with `using`, by Symbol.dispose", () => {
    expect(gained(() => ones([1])[Symbol.dispose]())).toBe(0);
  });
});
