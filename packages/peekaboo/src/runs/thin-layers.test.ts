import { expect, it } from "vitest";
import { thinLayersInWords } from "./thin-layers.js";

const layer = (name: string, kept: number, total: number) => ({ name, kept, total });

it("names the layers under 1 %, the thinnest first, with the remedy that is left", () => {
  const layers = [layer("a", 10, 1000), layer("b", 9, 1000), layer("c", 9, 8192), layer("d", 1000, 1000)];
  expect(thinLayersInWords(layers, null)).toBe(
    "less than 1 % is kept of c 9 of 8,192 (0.11 %), b 9 of 1,000 (0.90 %); `pruning.minKept` keeps more, e.g. `pruning.minKept` 1%",
  );
  expect(thinLayersInWords(layers, { weights: 9 })).toMatch(/; raise `pruning.minKept` \(9 now\)$/);
});

it("says nothing where there are none, and counts those beyond five", () => {
  expect(thinLayersInWords([layer("a", 10, 1000), layer("b", 1, 1)], null)).toBeNull();
  const many = Array.from({ length: 8 }, (_, i) => layer(`l${i}`, i, 1000));
  expect(thinLayersInWords(many, null)).toContain("l4 4 of 1,000 (0.40 %) and 3 more layers");
});
