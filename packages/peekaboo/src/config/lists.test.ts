import { describe, expect, it } from "vitest";
import { ascendingIntegers, choice, integer, number } from "./kinds.js";
import { listOf } from "./lists.js";

describe("listOf", () => {
  it("reads values with commas between, and ranges of integers", () => {
    expect(listOf(number()).fromText("0.01, 1e-1,3")).toEqual([0.01, 0.1, 3]);
    expect(listOf(integer(0)).fromText("0..2,7")).toEqual([0, 1, 2, 7]);
    expect(listOf(choice(["SNIP", "Rand"])).fromText("snip,Rand")).toEqual(["SNIP", "Rand"]);
  });

  it("takes a value that has commas for one", () => {
    expect(listOf(ascendingIntegers()).fromText("80,120")).toEqual([[80, 120]]);
  });

  it.each(["1,,2", "1,x", "2..0", "0..1000000", ""])("refuses %j", (text) => {
    expect(listOf(integer(0)).fromText(text)).toBeUndefined();
  });

  it("advises on the part that is wrong", () => {
    expect(listOf(choice(["SNIP", "Rand"])).remedy?.("Rand,SNPI")).toBe("did you mean SNIP?");
  });
});
