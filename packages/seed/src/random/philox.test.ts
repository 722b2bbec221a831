import { describe, expect, it } from "vitest";
import { philox4x32 } from "./philox.js";

const words = (text: string) => Uint32Array.from(text.split(" "), (word) => Number.parseInt(word, 16));

describe("philox4x32", () => {
  it.each([
    ["00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"],
    ["ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"],
    ["243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"],
  ])("gives Random123's known answer for counter %s, key %s", (counter, key, answer) => {
    const out = new Uint32Array(4);
    philox4x32(words(counter), words(key), out);
    expect(out).toEqual(words(answer));
  });

  it("gives the blocks of one counter after the other, carrying from one word to the next", () => {
    const key = words("a4093822 299f31d0");
    const three = new Uint32Array(12);
    philox4x32(words("fffffffe 00000007 13198a2e 03707344"), key, three);
    const counters = ["fffffffe 00000007", "ffffffff 00000007", "00000000 00000008"];
    const each = counters.flatMap((lower) => {
      const block = new Uint32Array(4);
      philox4x32(words(`${lower} 13198a2e 03707344`), key, block);
      return [...block];
    });
    expect([...three]).toEqual(each);
  });

  it("may write over its counter", () => {
    const counter = words("243f6a88 85a308d3 13198a2e 03707344");
    philox4x32(counter, words("a4093822 299f31d0"), counter);
    expect(counter).toEqual(words("d16cfe09 94fdcceb 5001e420 24126ea1"));
  });
});
