import { expect, it } from "vitest";
import { stepTexts } from "./words.js";

it("tells steps under an axis apart, however close one looks", () => {
  expect(stepTexts([0, 20_000, 100_000, 2_000_000])).toEqual(["0", "20k", "100k", "2,000k"]);
  expect(stepTexts([0, 500, 1000, 1500])).toEqual(["0", "500", "1,000", "1,500"]);
  expect(stepTexts([30_400, 30_425, 30_450])).toEqual(["30,400", "30,425", "30,450"]);
  expect(stepTexts([5, 5.5, 6])).toEqual(["5", "", "6"]);
});
