import { afterEach, describe, expect, it } from "vitest";
import { keep, liveTensorCount, scope } from "../scope.js";
import { Tensor } from "../tensor.js";
import { inTurn } from "./in-turn.js";
import { Flatten, ReLU, Sequential } from "./layers.js";

afterEach(() => expect(liveTensorCount()).toBe(0));

describe("steps in turn", () => {
  it("hold one result at a time, and leave what was there before", () => {
    scope(() => {
      const input = Tensor.of([1]);
      const live: number[] = [];
      const step = (value: Tensor) => {
        live.push(liveTensorCount());
        return value.add(1);
      };
      expect(inTurn(() => input, [step, step, step]).toArray()).toEqual([4]);
      expect(live).toEqual([1, 2, 2]);
      expect(input.toArray()).toEqual([1]);
      expect(inTurn(() => Tensor.of([5]), [step, step]).toArray()).toEqual([7]);
      expect(liveTensorCount()).toBe(3);
    });
  });

  it("leave what they return unchanged or keep", () => {
    scope(() => {
      const kept: Tensor[] = [];
      const same = (value: Tensor) => value;
      const keeping = (value: Tensor) => {
        kept.push(keep(value));
        return value.mul(2);
      };
      expect(inTurn(() => Tensor.of([3]), [same, keeping, same, keeping]).toArray()).toEqual([12]);
      expect(kept.map((tensor) => tensor.toArray())).toEqual([[3], [6]]);
      for (const tensor of kept) tensor.dispose();
      const input = Tensor.of([4]);
      expect(inTurn(() => input, [])).toBe(input);
      expect(inTurn(() => input, [same, same])).toBe(input);
    });
  });

  it("free on failure, too", () => {
    scope(() => {
      const failing = () => {
        throw new RangeError("no");
      };
      expect(() => inTurn(() => Tensor.of([1]), [(value) => value.add(1), failing])).toThrow("no");
      expect(liveTensorCount()).toBe(0);
    });
  });

  it("are what a Sequential takes", () => {
    scope(() => {
      const seen: number[] = [];
      class Counting extends ReLU {
        override forward(input: Tensor): Tensor {
          seen.push(liveTensorCount());
          return super.forward(input);
        }
      }
      const network = new Sequential(new Counting(), new Counting(), new Counting(), new Flatten());
      expect(network.call(Tensor.of([[[-1, 2]]])).toArray()).toEqual([[0, 2]]);
      expect(seen).toEqual([1, 2, 2]);
    });
  });
});
