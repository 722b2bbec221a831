import { expect, it } from "vitest";
import { FlipHistory } from "./flip-history.js";

it("adds up neighbouring epochs as they grow many, layers that come later included", () => {
  const history = new FlipHistory();
  const layer = (name: string, flips: number) => ({ name, flips, kept: 10 });
  for (let epoch = 0; epoch < 300; epoch++) {
    const layers = epoch < 100 ? [layer("a", epoch)] : [layer("a", epoch), layer("b", 1)];
    history.add({ kind: "flips", epoch, step: epoch + 1, layers });
  }
  const { epochs, layers } = history.view();
  expect(epochs.slice(0, 2)).toEqual([
    { first: 0, last: 1 },
    { first: 2, last: 3 },
  ]);
  expect(epochs.at(-1)).toEqual({ first: 299, last: 299 });
  expect(layers.map(({ name, kept }) => [name, kept])).toEqual([
    ["a", 10],
    ["b", 10],
  ]);
  const sum = (values: readonly number[] = []) => values.reduce((total, value) => total + value, 0);
  expect(sum(layers[0]?.flips)).toBe((300 * 299) / 2);
  expect(sum(layers[1]?.flips)).toBe(200);
  expect(layers[0]?.flips.slice(0, 2)).toEqual([1, 5]);
});
